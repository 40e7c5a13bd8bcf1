"""What the functions say of themselves, whole lines of it; and that alarms and dashboard ask for what there is."""

import importlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import jsonschema
import pytest
from botocore.exceptions import ClientError
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

from atrium import keys, telemetry
from atrium.api.resolver import lambda_handler
from atrium.api.v1 import v1_api
from atrium.api.views import Confirmation
from atrium.credentials import new_secret
from atrium.models import timestamp
from atrium.store import purge
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Range, table
from atrium.store.engine.wire import wire_item
from atrium.telemetry import UNITS
from local.functions import call
from local.gateway import Gateway
from local.template import ROOT, Template
from local.terminal import FunctionOutput
from tests.support.client import Answer, World, flat_id, flat_path, through
from tests.support.clock import NET, Workers, unhurried
from tests.support.faults import Choose, faulty
from tests.support.requests import EVERY_ROUTE, FLAT, a_project
from tests.support.rows import meta_of
from tests.support.world import the_template
from tools import versioned

Line = dict[str, Any]
Said = Callable[[], list[Line]]

# The embedded metric format, as its specification has it, of our namespace and units.
EMF = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "additionalProperties": False,
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"const": "Atrium"},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 1, "maxItems": 30, "items": {"type": "string"}},
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["Name", "Unit"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Count", "Milliseconds"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}

# The metrics of AWS that Atrium looks at, with what they are told apart by.
AWS_METRICS = {
    "AWS/ApiGateway": {name: [{"ApiName"}] for name in ("4XXError", "5XXError", "Count", "Latency")},
    "AWS/Lambda": {
        "Throttles": [set(), {"FunctionName"}],
        "ConcurrentExecutions": [set(), {"FunctionName"}],
        "IteratorAge": [{"FunctionName"}],
        "Invocations": [{"FunctionName"}],
    },
    "AWS/DynamoDB": {
        name: [{"TableName"}]
        for name in (
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
            "TransactionConflict",
        )
    },
    "AWS/SQS": {
        "ApproximateNumberOfMessagesVisible": [{"QueueName"}],
        "ApproximateAgeOfOldestMessage": [{"QueueName"}],
    },
}


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """The lines since it was called before, which are all that was said. Each that has metrics is a document of the
    embedded metric format.
    """

    def lines() -> list[Line]:
        out, err = capfd.readouterr()
        assert err == ""
        found = [json.loads(line) for line in out.splitlines()]
        for line in found:
            assert line["level"] in ("INFO", "WARN", "ERROR")
            moment = line.pop("timestamp")
            assert moment.endswith("Z")
            assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(seconds=NET)
            if "_aws" in line:
                require_emf(line)
        return found

    return lines


@pytest.fixture
def elsewhere(world: World, template: Template) -> Iterator[World]:
    """The same API in another process, whose log is not this one's."""
    workers = Workers(os.environ, size=1)
    yield World(through(Gateway(template.api, template.functions, workers, template.stage)), world.dev)
    workers.stop()


def require_emf(line: Line) -> None:
    jsonschema.validate(line, EMF)
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < NET
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for name in (name for names in directive["Dimensions"] for name in names):
            assert isinstance(line[name], str)
        for metric in directive["Metrics"]:
            assert metric["Unit"] == UNITS[metric["Name"]]
            value = line[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(type(each) in (int, float) and each >= 0 for each in values)


def measured(line: Line) -> tuple[set[str], set[str]]:
    """The dimensions and the metrics that a line tells CloudWatch of."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    (dimensions,) = directive["Dimensions"]
    return set(dimensions), {metric["Name"] for metric in directive["Metrics"]}


def answered(world: World, answer: Answer, route: str, by: str = "owner", **other: Any) -> Line:
    """The line of an answer, but for what differs with each run: see `fixed`."""
    return {
        "message": "Answered",
        "level": "INFO",
        "request_id": answer.headers["x-request-id"],
        "tenant": flat_id(world.dev["tenants"]["acme"]["tenant_id"]),
        "principal": world.id(by),
        "route": route,
        "status": answer.status,
        "replayed": False,
        "Stack": "atrium",
        "Dialect": "v1" if "/v1/" in route else "flat",
        "Requests": 1,
        **other,
    }


def fixed(line: Line) -> Line:
    """A line of a request without its latency, what CloudWatch is told, and whether it was its process's first."""
    assert 0 <= line["Latency"] < 60_000
    return {name: value for name, value in line.items() if name not in ("Latency", "_aws", "cold")}


# ---------------------------------------------------------------- requests


def test_a_request_is_one_line_that_says_who_asked_for_what_and_how_it_went(world: World, said: Said) -> None:
    said()
    made = world("POST", world.projects(), {"name": "Apollo"}, key="k")
    (line,) = said()
    assert fixed(line) == answered(world, made, "POST /v1/spaces/{space_id}/projects")
    assert measured(line) == ({"Stack", "Dialect"}, {"Requests", "Latency"})
    listed = world("GET", "/projects?limit=1", by="contributor")
    (line,) = said()
    assert fixed(line) == answered(world, listed, "GET /projects", by="contributor")
    assert measured(line) == ({"Stack", "Dialect"}, {"Requests", "Latency"})


def test_a_replay_is_counted(world: World, said: Said) -> None:
    world("POST", "/projects", FLAT, key="k")
    said()
    again = world("POST", "/projects", FLAT, key="k")
    (line,) = said()
    assert again.replayed
    assert fixed(line) == answered(world, again, "POST /projects", replayed=True, Replays=1)
    assert measured(line)[1] == {"Requests", "Latency", "Replays"}


def test_a_conflict_is_counted(world: World, said: Said) -> None:
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    said()
    stale = world("PATCH", project, {"name": "B"}, headers={"If-Match": '"v-99"'})
    member = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    twice = world("POST", f"{project}/members", member)
    first, second = said()
    path = "/v1/spaces/{space_id}/projects/{project_id}"
    assert (stale.status, twice.status) == (412, 409)
    assert fixed(first) == answered(world, stale, f"PATCH {path}", Conflicts=1)
    assert fixed(second) == answered(world, twice, f"POST {path}/members", Conflicts=1)
    assert measured(second)[1] == {"Requests", "Latency", "Conflicts"}


def test_a_refusal_is_a_line_as_any_other(world: World, said: Said) -> None:
    said()
    invalid = world("POST", "/projects", {"projectName": ""})
    missing = world("GET", f"{world.projects()}/{world.uuid('owner')}")
    first, second = said()
    assert (invalid.status, missing.status) == (400, 404)
    assert fixed(first) == answered(world, invalid, "POST /projects")
    assert fixed(second) == answered(world, missing, "GET /v1/spaces/{space_id}/projects/{project_id}")


def test_what_the_authorizer_refuses_it_says_with_the_reason(world: World, said: Said) -> None:
    said()
    nobody = world("GET", "/projects", by=None)
    unknown = world.raw("GET", "/projects", [("X-API-Key", new_secret("key"))])
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    several = world.raw("GET", "/projects", [("Authorization", f"Bearer {token}"), ("X-API-Key", key)])
    lines = said()
    assert lines == [
        {
            "message": "Unauthorized",
            "level": "INFO",
            "request_id": answer.headers["x-request-id"],
            "route": "GET /projects",
            "reason": reason,
        }
        for answer, reason in ((nobody, "malformed"), (unknown, "unknown"), (several, "several"))
    ]
    assert (nobody.status, unknown.status, several.status) == (401, 401, 401)


def test_an_authorizer_that_cannot_judge_is_counted(world: World, said: Said) -> None:
    said()
    with faulty(lambda *_: "hang", unhurried()):
        answer = world("GET", "/projects")
    (line,) = said()
    assert answer.status == 503
    assert line.pop("where")[-1].endswith("_call")
    del line["_aws"]
    assert line == {
        "message": "Not judged",
        "level": "ERROR",
        "request_id": answer.headers["x-request-id"],
        "route": "GET /projects",
        "error": ["Unavailable"],
        "Stack": "atrium",
        "AuthorizerFailures": 1,
    }


def test_a_failure_says_its_kind_and_where_and_not_its_text(world: World, said: Said) -> None:
    project = world.new_project()
    said()
    with faulty(lambda number, operation, _: "unknown" if operation == "TransactWriteItems" else None):
        failed = world("PATCH", project, {"name": "B"})
    unhandled, line = said()
    route = "PATCH /v1/spaces/{space_id}/projects/{project_id}"
    assert failed.seen == (500, {"detail": "Internal server error."})
    where = unhandled.pop("where")
    assert "resolver.py" in where[0]
    assert where[-1].endswith("_raised")
    assert unhandled == {
        "message": "Unhandled",
        "level": "ERROR",
        "request_id": failed.headers["x-request-id"],
        "route": route,
        "error": ["ValueError"],
    }
    assert fixed(line) == answered(world, failed, route, level="ERROR")


def test_a_failure_says_what_it_came_from_and_what_aws_answered() -> None:
    def fail() -> None:
        try:
            error = {"Code": "AccessDeniedException", "Message": "secret"}
            answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, "Query")
        except ClientError as error:
            raise KeyError("secret") from error

    with pytest.raises(KeyError) as caught:
        fail()
    told = telemetry.what_failed(caught.value)
    assert told["error"] == ["KeyError", "ClientError"]
    assert told["aws_error"] == ["AccessDeniedException"]
    assert "secret" not in json.dumps(told)


def test_retries_and_lost_races_are_counted(world: World, elsewhere: World, said: Said) -> None:
    project = world.new_project()
    said()
    # The authorizer remembers the owner, and asks nothing.
    with faulty(lambda number, *_: "throttle" if number <= 2 else None, unhurried()):
        slow = world("GET", project)
    (line,) = said()
    assert fixed(line) == answered(world, slow, "GET /v1/spaces/{space_id}/projects/{project_id}", Retries=2)
    assert measured(line)[1] == {"Requests", "Latency", "Retries"}
    with faulty(once_before_the_commit(lambda: elsewhere("PUT", flat_path(project), FLAT))):
        lost = world("PATCH", project, {"name": "B"})
    (line,) = said()
    assert fixed(line) == answered(world, lost, "PATCH /v1/spaces/{space_id}/projects/{project_id}", LostRaces=1)


def test_what_one_request_took_is_not_said_of_the_next(world: World, said: Said) -> None:
    world.new_project()
    said()
    with faulty(lambda number, *_: "throttle" if number == 1 else None, unhurried()):
        world("POST", "/projects", FLAT)
    refused = world("POST", "/projects", content=b"x", headers={"Content-Type": "text/plain"})
    slow, line = said()
    assert slow["Retries"] == 1
    assert fixed(line) == answered(world, refused, "POST /projects")


def once_before_the_commit(rival: Callable[[], Answer], also: int = 0) -> Choose:
    """Another request is answered between the read and the commit of this one; the call number `also` is throttled."""
    answers: list[Answer] = []

    def choose(number: int, operation: str, _: Mapping[str, Any]) -> str | None:
        if operation == "TransactWriteItems" and not answers:
            answers.append(rival())
            assert answers[0].status == 200
        return "throttle" if number == also else None

    return choose


def test_a_request_that_runs_out_of_time_says_what_it_tried(world: World, said: Said) -> None:
    project = world.new_project()
    said()
    with faulty(lambda *_: "hang", unhurried()):
        busy = world("GET", project)
    (line,) = said()
    assert busy.status == 503
    assert line.pop("Retries") >= 3
    assert fixed(line) == answered(world, busy, "GET /v1/spaces/{space_id}/projects/{project_id}", level="ERROR")


def test_the_first_request_of_a_process_says_so(world: World, said: Said) -> None:
    module = importlib.import_module("v1.list_roles")
    event = json.loads((ROOT / "events/v1/list_roles.json").read_text())
    handler = lambda_handler(module.api)
    said()
    for _ in range(3):
        handler(event, None)
    assert ["cold" in line for line in said()] == [True, False, False]


@pytest.mark.parametrize(("quotes", "status"), [(1_500_000, 200), (3_200_000, 500)])
def test_an_answer_that_lambda_would_not_take_is_logged_as_what_the_caller_gets(
    world: World, said: Said, quotes: int, status: int
) -> None:
    """A quote in a text is two characters of the body, and four of what Lambda weighs: 6,291,556 bytes."""
    api = v1_api(permission=None, access="NoTable")
    api.get("/v1/roles")(lambda: Confirmation(message='"' * (quotes // 2)))
    event = json.loads((ROOT / "events/v1/list_roles.json").read_text())
    handler = lambda_handler(api)
    said()
    answer = handler(event, None)
    assert answer["statusCode"] == status
    assert len(json.dumps(answer)) < 6_291_556
    *unhandled, line = said()
    assert line["status"] == status
    assert [each["error"] for each in unhandled] == ([["AnswerTooLarge"]] if status == 500 else [])


# ---------------------------------------------------------------- what follows a change


def test_how_late_each_event_was_is_told(world: World, template: Template, said: Said) -> None:
    meta = meta_of(world, world.new_project())
    meta["last_event"]["time"] = timestamp(datetime.now(UTC) - timedelta(seconds=90))
    record = {"dynamodb": {"NewImage": wire_item(meta), "SequenceNumber": "1"}}
    said()
    done = call(template.functions["PublishEvents"], {"Records": [record] * 101})
    assert done == {"batchItemFailures": []}
    lines = said()
    assert [line["events"] for line in lines] == [100, 1]
    for line in lines:
        assert (line["message"], line["Stack"]) == ("Published", "atrium")
        assert measured(line) == ({"Stack"}, {"EventLag"})
        assert len(line["EventLag"]) == line["events"]
        assert all(90_000 <= lag < 90_000 + NET * 1_000 for lag in line["EventLag"])


def test_an_event_that_the_bus_does_not_take_is_not_late_yet(world: World, template: Template, said: Said) -> None:
    record = {"dynamodb": {"NewImage": wire_item(meta_of(world, world.new_project())), "SequenceNumber": "1"}}
    world.bus.before = lambda entries: range(len(entries))
    said()
    done = call(template.functions["PublishEvents"], {"Records": [record]})
    assert done == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert said() == [{"message": "Not published", "level": "WARN", "published": 0, "failed": 1}]


def test_a_sweep_is_told_with_each_purge(world: World, template: Template, said: Said) -> None:
    project = world.new_project()
    assert world("DELETE", project).status == 204
    (row,) = purge.queued(table())
    said()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        assert call(template.functions["SweepDeleted"], {}) == {"found": 1, "purged": 1}
    purged, swept = said()
    del purged["_aws"], swept["_aws"]
    assert purged == {
        "message": "Purged",
        "level": "INFO",
        "tenant": row["tenant"],
        "project": row["project"],
        "task": None,
        "Stack": "atrium",
        "PurgedRows": 1,
        "PurgedDeletions": 1,
    }
    assert swept == {
        "message": "Swept",
        "level": "INFO",
        "found": 1,
        "Stack": "atrium",
        "SweptDeletions": 1,
        "OverdueDeletions": 0,
    }


def test_a_sweep_that_cannot_purge_tells_how_many_deletions_are_overdue(
    world: World, template: Template, said: Said
) -> None:
    for project in (world.new_project(), world.new_project()):
        assert world("DELETE", project).status == 204
    said()
    unreadable = [{"pk": row["pk"], "sk": row["sk"]} for row in purge.queued(table())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        with faulty(lambda _, operation, __: "unknown" if operation == "GetItem" else None):
            assert call(template.functions["SweepDeleted"], {}) == {"found": 2, "purged": 0}
    *failures, swept = said()
    assert [line["message"] for line in failures] == ["Not purged"] * len(unreadable)
    assert (swept["SweptDeletions"], swept["OverdueDeletions"]) == (0, 2)


def test_rows_of_the_purge_queue_that_cannot_be_read_are_told_by_the_stream_and_by_each_sweep(
    world: World, template: Template, said: Said
) -> None:
    client, rows = boto3.client("dynamodb"), [{"pk": {"S": "PURGE#0"}, "sk": {"S": f"odd-{n}"}} for n in range(12)]
    for row in rows:
        client.put_item(TableName=os.environ["TABLE_NAME"], Item={**row, "deleted_at": {"N": "1"}})
    told = {"message": "No deletion can be read", "level": "ERROR"}
    said()
    record = {"dynamodb": {"NewImage": rows[0], "SequenceNumber": "7"}}
    assert call(template.functions["PurgeDeleted"], {"Records": [record]}) == {"batchItemFailures": []}
    assert said() == [{**told, "rows": 1, "deletions": ["7"]}]
    for _ in range(2):
        assert call(template.functions["SweepDeleted"], {}) == {"found": 12, "purged": 0}
        line, swept = said()
        assert len(line.pop("deletions")) == 10
        assert line == {**told, "rows": 12}
        assert (swept["SweptDeletions"], swept["OverdueDeletions"]) == (0, 12)


def test_each_sweep_sends_a_pulse_that_the_publisher_is_invoked_for_and_does_not_publish(
    world: World, template: Template, said: Said
) -> None:
    assert call(template.functions["SweepDeleted"], {}) == {"found": 0, "purged": 0}
    with scope(None, purges=True):
        pulse = table().query(Range(keys.PULSE.pk, "!", "~", 10))
    (row,) = pulse
    assert abs(datetime.fromisoformat(row["at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    image = wire_item(row)
    record = {
        "eventName": "MODIFY",
        "dynamodb": {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image, "SequenceNumber": "1"},
    }
    reads = {
        source.function.name
        for source in template.event_sources
        if any(EventPattern.load(pattern).matches_event(record) for pattern in source.filters)
    }
    assert reads == {"PublishEvents"}
    said()
    assert call(template.functions["PublishEvents"], {"Records": [record]}) == {"batchItemFailures": []}
    assert (world.bus.events, said()) == ([], [])


# ---------------------------------------------------------------- what is never said


def test_no_log_has_anything_that_a_caller_sent(world: World, said: Said) -> None:
    """On every route, once with a table that works and once with a broken one, whose failures are told."""
    marked = "mark-5f1c"
    project = a_project(world)
    told = []
    for request in EVERY_ROUTE.values():
        method, path, body = request(world, project if world("GET", project).status == 200 else a_project(world))
        headers = {"Idempotency-Key": f"{marked}-key", "X-Marked": marked, "User-Agent": marked}
        query = f"?limit=1&cursor={marked}&q={marked}&search={marked}"
        sent = json.dumps(spoilt(body, marked)) if isinstance(body, dict) else json.dumps({marked: marked})
        for fault in (None, "unknown"):
            with faulty(lambda *_, fault=fault: fault):
                world(method, path + query, headers=headers, content=sent.encode())
                world("GET", path, by=None, headers={"Authorization": f"Bearer {marked}", "If-Match": marked})
        told += said()
    assert {line["message"] for line in told} == {"Answered", "Unauthorized", "Unhandled"}
    assert len(told) > 2 * len(EVERY_ROUTE)
    text = json.dumps(told)
    for never in (marked, "@acme.example", "atr_", "Owner of Acme", project.rpartition("/")[2]):
        assert never not in text, never


def spoilt(body: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The body, its texts marked, and with a field too many."""
    marked = {name: f"{value} {mark}" if isinstance(value, str) else value for name, value in body.items()}
    return {**marked, mark: f"{mark}@example.com"}


# ---------------------------------------------------------------- on a laptop


def test_a_laptops_terminal_has_no_access_log_but_everything_else(capfd: pytest.CaptureFixture[str]) -> None:
    output = FunctionOutput("V1Me")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", output)
        patch.setenv("STACK_NAME", "atrium")
        telemetry.say("Answered", request_id="r")
        telemetry.say("Unhandled", "ERROR", error=["KeyError"])
    shown = [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    (line,) = shown
    name, _, text = line.partition(" | ")
    told = json.loads(text)
    del told["timestamp"]
    assert (name, told) == ("V1Me", {"message": "Unhandled", "level": "ERROR", "error": ["KeyError"]})


# ---------------------------------------------------------------- alarms and dashboard

OBSERVABILITY = yaml_parse((ROOT / "observability.yaml").read_text())
STACK = "atrium-prod"


def exports(template: Template) -> dict[str, Any]:
    """What the main stack exports, by name."""
    outputs = yaml_parse((ROOT / "template.yaml").read_text())["Outputs"].values()
    named = [output for output in outputs if "Export" in output]
    return {
        output["Export"]["Name"]["Fn::Sub"].replace("${AWS::StackName}", STACK): output["Value"] for output in named
    }


def resolved(value: Any, known: Mapping[str, Any]) -> Any:
    """A value of observability.yaml with its intrinsic functions replaced; what the main stack exports as <name>."""
    match value:
        case {"Ref": name}:
            return known[name]
        case {"Fn::ImportValue": name}:
            exported = resolved(name, known)
            assert exported in known["exports"]
            return f"<{exported.removeprefix(STACK + '-')}>"
        case {"Fn::Sub": [text, more]}:
            return resolved({"Fn::Sub": text}, {**known, **resolved(more, known)})
        case {"Fn::Sub": text}:
            for name, given in known.items():
                text = text.replace(f"${{{name}}}", str(given))
            assert "${" not in text
            return text
        case {"Fn::If": [_, then, _]}:
            return resolved(then, known)
        case dict():
            return {name: resolved(item, known) for name, item in value.items()}
        case list():
            return [resolved(item, known) for item in value]
    return value


@pytest.fixture(scope="module")
def watching() -> dict[str, dict[str, Any]]:
    """The properties of what observability.yaml has, by logical id, for a stack and a topic."""
    known = {"Stack": STACK, "AlarmTopic": "arn:topic", "AWS::Region": "us-east-1", "exports": exports(the_template())}
    return {name: resolved(item["Properties"], known) for name, item in OBSERVABILITY["Resources"].items()}


def alarms(watching: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: item for name, item in watching.items() if "AlarmName" in item}


Metric = tuple[str, str, dict[str, str]]


def metrics_of(alarm: Mapping[str, Any]) -> list[Metric]:
    """The one that an alarm watches, or those that its expression is made of."""
    watched = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return [
        (
            metric["Namespace"],
            metric["MetricName"],
            {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])},
        )
        for metric in watched
    ]


def shown_on(dashboard: Mapping[str, Any]) -> list[Metric]:
    body = json.loads(dashboard["DashboardBody"])
    found = []
    for widget in body["widgets"]:
        for namespace, name, *pairs in widget["properties"].get("metrics", []):
            names = [each for each in pairs if isinstance(each, str)]
            found.append((namespace, name, dict(zip(names[::2], names[1::2], strict=True))))
    return found


def test_alarms_and_dashboard_ask_for_metrics_that_are_there(
    world: World, elsewhere: World, template: Template, watching: Mapping[str, Any], said: Said
) -> None:
    """Atrium's are those that a life of requests, events and purges really emits, with just these dimensions."""
    said()
    live_through_everything(world, elsewhere, template)
    emitted: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for line in said():
        if "_aws" in line:
            dimensions, names = measured(line)
            for name in names:
                emitted.setdefault(name, set()).add(frozenset((each, line[each]) for each in dimensions))
    assert set(emitted) == set(UNITS)
    asked = [metric for alarm in alarms(watching).values() for metric in metrics_of(alarm)]
    asked += shown_on(watching["Dashboard"])
    for namespace, name, wanted in asked:
        if namespace == telemetry.NAMESPACE:
            ours = {**wanted, "Stack": "atrium"} if wanted["Stack"] == STACK else wanted
            assert frozenset(ours.items()) in emitted[name], (name, wanted)
        else:
            assert set(wanted) in AWS_METRICS[namespace][name], (namespace, name, wanted)
    assert {name for namespace, name, _ in asked if namespace == telemetry.NAMESPACE} == set(UNITS)


def live_through_everything(world: World, elsewhere: World, template: Template) -> None:
    for _ in range(2):
        world("POST", "/projects", FLAT, key="k")
        world("POST", world.projects(), {"name": "Apollo"}, key="k")
    project = world.new_project()
    for path, body in ((project, {"name": "B"}), (flat_path(project), FLAT)):
        stale = world("PATCH" if path == project else "PUT", path, body, headers={"If-Match": '"v-99"'})
        assert stale.status == 412
    other = world.new_project()
    renamed = ("PATCH", project, {"name": "B"}), ("PUT", flat_path(other), FLAT)
    rivals = ("PUT", flat_path(project), FLAT), ("PATCH", other, {"name": "B"})
    for request, rival in zip(renamed, rivals, strict=True):
        with faulty(once_before_the_commit(partial(elsewhere, *rival), also=2), unhurried()):
            assert world(*request).status == 200
    with faulty(lambda *_: "hang", unhurried()):
        world("GET", "/projects", by="outsider")
    record = {"dynamodb": {"NewImage": wire_item(meta_of(world, project)), "SequenceNumber": "1"}}
    call(template.functions["PublishEvents"], {"Records": [record]})
    world("DELETE", project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        call(template.functions["SweepDeleted"], {})


def test_what_the_alarms_name_is_what_the_stack_exports(template: Template, watching: Mapping[str, Any]) -> None:
    exported = exports(template)
    assert exported == {
        f"{STACK}-Table": {"Ref": "Table"},
        f"{STACK}-DeadLetters": {"Fn::GetAtt": ["DeadLetters", "QueueName"]},
        f"{STACK}-ProjectRequests": {"Fn::GetAtt": ["ProjectRequests", "QueueName"]},
        f"{STACK}-PublishEvents": {"Ref": "PublishEvents"},
        f"{STACK}-Logs": {"Ref": "Logs"},
    }
    # A REST API that is imported has its document's title for a name.
    assert template.api["info"]["title"] == "atrium"
    assert template.resources["Api"]["Properties"]["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
    metrics = [metric for alarm in alarms(watching).values() for metric in metrics_of(alarm)]
    values = {value for _, _, dimensions in metrics for value in dimensions.values()}
    assert values == {STACK, "<Table>", "<DeadLetters>", "<ProjectRequests>", "<PublishEvents>"}


def test_every_alarm_tells_the_topic_and_is_quiet_where_nothing_happens(watching: Mapping[str, Any]) -> None:
    found = alarms(watching)
    assert {alarm["AlarmName"] for alarm in found.values()} == {
        f"{STACK}-{name}"
        for name in (
            "server-errors",
            "latency",
            "authorizer-failures",
            "function-throttles",
            "read-throttles",
            "write-throttles",
            "dead-letters",
            "requests-behind",
            "publishing-behind",
            "publishing-stopped",
            "purging-behind",
            "purging-stopped",
            "sweep-stopped",
        )
    }
    for name, alarm in found.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["arn:topic"], name
        # Two are about something that has to come whatever the traffic.
        always = name in ("PublishingStopped", "SweepStopped")
        assert alarm["TreatMissingData"] == ("breaching" if always else "notBreaching"), name
        assert alarm["AlarmDescription"].endswith("."), name
    for item in OBSERVABILITY["Resources"].values():
        if item["Type"] == "AWS::CloudWatch::Alarm":
            assert item["Properties"]["AlarmActions"]["Fn::If"][::2] == ["HasTopic", {"Ref": "AWS::NoValue"}]


# ---------------------------------------------------------------- when alarms go off


@dataclass(frozen=True)
class Minute:
    """One minute of the metrics: the requests, those of them that failed, and those that took longer than 3 s."""

    requests: int
    failures: int = 0
    slow: int = 0


def value(alarm: Mapping[str, Any], window: Sequence[Minute]) -> float:
    """The value that CloudWatch gives a window: the percentile, or the expression, IF(condition, value, otherwise)."""
    requests = sum(minute.requests for minute in window)
    if alarm.get("ExtendedStatistic") == "p99":
        return 10_000 if sum(minute.slow for minute in window) > requests / 100 else 100
    (expression,) = (each["Expression"] for each in alarm["Metrics"] if "Expression" in each)
    form = re.fullmatch(r"IF\((.*), (.*), (.*)\)", expression)
    assert form is not None
    names = {"failures": sum(minute.failures for minute in window), "requests": requests}
    condition, then, otherwise = (eval(part, {}, names) for part in form.groups())
    return float(then if condition else otherwise)


def goes_off(alarm: Mapping[str, Any], minutes: Sequence[Minute]) -> int | None:
    """At the end of which minute the alarm goes off. Its window slides with each minute, unless it says otherwise."""
    assert "EvaluationWindow" not in alarm
    (period,) = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each} or {
        alarm["Period"]
    }
    length, evaluated = period // 60, alarm["EvaluationPeriods"]
    for now in range(length * evaluated, len(minutes) + 1):
        windows = [minutes[now - length * (back + 1) : now - length * back] for back in range(evaluated)]
        over = sum(
            value(alarm, window) > alarm["Threshold"]
            or (
                alarm["ComparisonOperator"].startswith("GreaterThanOrEqual")
                and value(alarm, window) == alarm["Threshold"]
            )
            for window in windows
        )
        if over >= alarm.get("DatapointsToAlarm", evaluated):
            return now
    return None


QUIET = 20


@pytest.mark.parametrize("a_minute", [60, 1_000, 60_000])
@pytest.mark.parametrize("name", ["ServerErrors", "Latency", "AuthorizerFailures"])
def test_an_alarm_stops_the_shortest_canary(watching: Mapping[str, Any], name: str, a_minute: int) -> None:
    """A release whose every request fails, or is slow, gets a tenth of them. The metrics of a minute may come two
    minutes late, so the alarm has to go off with those of the first three.
    """
    offered = re.findall(
        r"Canary10Percent(\d+)Minutes", " ".join(versioned.PARAMETERS["GradualDeployment"]["AllowedValues"])
    )
    assert min(map(int, offered)) == 5
    assert name in {
        logical
        for logical, alarm in alarms(watching).items()
        if alarm["AlarmName"].removeprefix(f"{STACK}-") in versioned.ALARMS
    }
    bad = Minute(a_minute, failures=a_minute // 10, slow=a_minute // 10)
    off = goes_off(watching[name], [Minute(a_minute)] * QUIET + [bad] * 5)
    assert off is not None
    assert off - QUIET <= 3


@pytest.mark.parametrize("name", ["ServerErrors", "AuthorizerFailures"])
def test_few_failures_among_many_and_a_few_among_few_are_no_alarm(watching: Mapping[str, Any], name: str) -> None:
    alarm = watching[name]
    assert goes_off(alarm, [Minute(20_000, failures=50)] * 60) is None, "one in 400, all day"
    assert goes_off(alarm, [Minute(1), Minute(1, failures=1)] * 30) is None, "three in five minutes, of five"
    assert goes_off(alarm, [Minute(10)] * 10 + [Minute(10, failures=5)]) == 11
    assert goes_off(alarm, [Minute(20_000, failures=200)] * 60) == 5


def test_one_slow_minute_is_no_alarm_and_two_of_three_are(watching: Mapping[str, Any]) -> None:
    slow, fine = Minute(100, slow=2), Minute(100, slow=1)
    assert goes_off(watching["Latency"], [fine] * 5 + [slow] + [fine] * 5) is None
    assert goes_off(watching["Latency"], [fine] * 5 + [slow, fine, slow]) == 8


def test_an_alarm_on_a_percentile_judges_however_few_requests_there_are(watching: Mapping[str, Any]) -> None:
    """CloudWatch would keep its state below 10 / (1 - 0.99) = 1,000 samples a period."""
    by_percentile = [alarm for alarm in alarms(watching).values() if "ExtendedStatistic" in alarm]
    assert by_percentile
    assert {alarm["EvaluateLowSampleCountPercentile"] for alarm in by_percentile} == {"evaluate"}
