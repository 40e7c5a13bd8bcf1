"""The round trips of each route to the table, and the permissions of its role, which equal its calls."""

import json
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atrium.automation import streams
from atrium.settings import settings
from atrium.store.outbox import bus
from local.functions import FunctionFailed, call
from local.template import ACCOUNT, REGION, Function, Template, function_arn
from tests.support import iam
from tests.support.automation import WITHOUT_URL, sample
from tests.support.client import World, flat_path, new_key
from tests.support.iam import ALWAYS, needed_by_others, needless, of_its_calls, role_of, statements
from tests.support.requests import AT_ONCE, EVERY_ROUTE, OF_PROJECTS, READS, ROUND_TRIPS, TABLE, WRITES, a_project
from tests.support.routes import routes
from tests.support.trace import Trace
from tests.support.world import inline


def test_every_route_has_its_request(template: Template) -> None:
    behind_urls = {name for name, function in template.functions.items() if not is_automation(function)}
    credentialed = behind_urls - {"Authorizer"} - set(routes(template, public=True))
    assert credentialed <= set(EVERY_ROUTE), (
        f"Routes without a request: {sorted(credentialed - set(EVERY_ROUTE))}. Add a row for each to TABLE in "
        "tests/support/requests.py, a request that succeeds. For a route that reads, with its round trips to the "
        'table (1 if left out):\n    reads("V1ListMembers", lambda w, p: ("GET", f"{p}/members", None)),\n'
        "For a route that writes, with the type of the event that it makes:\n"
        '    writes("AddTaskNote", "note.created", on_task("POST", "/notes", {"content": "Remember"})),'
    )
    gone = set(EVERY_ROUTE) - credentialed
    assert not gone, f"Rows of TABLE in tests/support/requests.py without a route: {sorted(gone)}"
    assert len(EVERY_ROUTE) == len(TABLE), "a route has two rows"


@pytest.mark.parametrize("route", READS)
def test_read_takes_one_round_trip_and_uses_exactly_its_permissions(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    world, trace = traced
    method, path, body = READS[route](world, a_project(world))
    trace.clear()
    assert world(method, path, body).status == 200
    assert trace.round_trips(route) == ROUND_TRIPS[route]
    assert trace.width(route) <= AT_ONCE[route]
    assert trace.round_trips("Authorizer") <= 1
    if method == "POST":  # it takes a key, though there is never a record
        assert world(method, path, body, by="outsider", key=new_key()).status in (403, 404)
    assert needless(of_its_calls(template, route), trace.asked(route)) == needed_by_others(template, route)


@pytest.mark.parametrize("route", WRITES)
def test_write_takes_two_round_trips_and_uses_exactly_its_permissions(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    """With a role in the space and with one in the project, since the commit has a condition on either. A refusal of a
    request with a key takes one more trip, which looks for the answer of a concurrent twin.
    """
    world, trace = traced
    asked: list[iam.Request] = []
    method, path, body = WRITES[route](world, a_project(world))
    for refused, trips in ((None, 1), (new_key(), 2)):
        trace.clear()
        assert world(method, path, body, by="outsider", key=refused).status in (403, 404)
        assert trace.round_trips(route) == trips
        asked += trace.asked(route)
    # A creation goes by the role in the space, as all that is about no project does; a note is its author's.
    alone = "Create" in route or route.endswith("DeleteTaskNote") or route not in OF_PROJECTS
    for by in ("owner",) if alone else ("owner", "contributor"):
        project = a_project(world)
        if by == "contributor":
            role = {"role_id": world.role("manager")}
            assert world("PATCH", f"{project}/members/{world.uuid(by)}", role).status == 200
        method, path, body = WRITES[route](world, project)
        if route == "V1CreateSpace":
            body = {**body, "owner_id": world.uuid("viewer")}
        key = new_key()
        trace.clear()
        first = world(method, path, body, by=by, key=key)
        assert first.status in (200, 201, 202, 204), first
        assert trace.round_trips(route) == ROUND_TRIPS[route]
        assert [call.operation for call in trace.of(route)].count("TransactWriteItems") == 1
        asked += trace.asked(route)
        trace.clear()
        second = world(method, path, body, by=by, key=key)
        assert (second.status, second.content, second.replayed) == (first.status, first.recorded, True)
        assert trace.round_trips(route) == 1
    assert needless(of_its_calls(template, route), asked) == needed_by_others(template, route)


@pytest.mark.parametrize("route", ["V1AddMember", "V1AddSpaceMember"])
def test_member_named_by_email_address_takes_one_more_round_trip(traced: tuple[World, Trace], route: str) -> None:
    world, trace = traced
    method, path, body = WRITES[route](world, a_project(world))
    trace.clear()
    sent = {"email": "outsider@acme.example", "role_id": body["role_id"]}
    assert world(method, path, sent, key=new_key()).status == 201
    assert trace.round_trips(route) == 3


def test_refusal_of_the_last_owner_takes_one_more_round_trip(traced: tuple[World, Trace]) -> None:
    """The number of owners and the member are read again, as they are at one moment."""
    world, trace = traced
    made = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": world.uuid("viewer")})
    trace.clear()
    member = f"/v1/spaces/{made.body['id']}/members/{world.uuid('viewer')}"
    assert world("DELETE", member, by="viewer").status == 409
    assert trace.round_trips("V1RemoveSpaceMember") == 2


def test_a_task_without_notes_is_read_in_one_round_trip(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    task = flat_path(world.new_record(a_project(world), "tasks"))
    trace.clear()
    assert world("GET", task).body["notes"] == []
    assert trace.round_trips("GetTask") == 1


def test_listing_all_projects_takes_three_round_trips_for_the_first_seven_and_one_for_each_seven_more(
    traced: tuple[World, Trace],
) -> None:
    world, trace = traced
    for number in range(14):
        project = world.new_project(f"Apollo {number}", space=("default", "research")[number % 2])
        world.new_member(project, "viewer", "viewer")
    for count, trips in ((7, 3), (14, 4)):
        trace.clear()
        assert len(world("GET", f"/projects?limit={count}").body) == count
        assert trace.round_trips("ListProjects") == trips
        assert trace.width("ListProjects") <= 8


def test_one_call_reads_all_listed_projects_without_tasks_and_team(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    for number in range(8):
        world.new_project(f"Apollo {number}")

    def calls() -> int:
        trace.clear()
        world("GET", "/projects")
        assert trace.round_trips("ListProjects") == 3
        return sum(call.operation in ("Query", "BatchGetItem") for call in trace.of("ListProjects"))

    # The caller with its memberships, the lists of two spaces, and the batch.
    assert calls() == 5
    member = world.new_member(world.new_project(), "viewer", "viewer")
    assert calls() == 6
    assert world("DELETE", member).status == 204
    assert calls() == 6


def test_list_of_a_caller_without_a_space_role_takes_a_second_trip(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    world.new_member(world.new_project(), "outsider", "viewer")
    trace.clear()
    assert len(world("GET", world.projects(), by="outsider").body["data"]) == 1
    assert trace.round_trips("V1ListProjects") == 2


def test_authorizer_uses_exactly_its_permissions(traced: tuple[World, Trace], template: Template) -> None:
    world, trace = traced
    assert world("GET", "/v1/me").status == 200
    assert needless(of_its_calls(template, "Authorizer"), trace.asked("Authorizer")) == set()


# ---------------------------------------------------------------- functions without a URL, and missing permissions


# Further calls of some functions, in which a request token is refused.
UNHEARD_OF = "00000000-0000-8000-8000-000000000000"
REFUSED: dict[str, Any] = {
    "Provision": {"tenant_id": UNHEARD_OF},
    "IssueCredential": {"principal_id": UNHEARD_OF},
    "RotateCredential": {"credential_id": UNHEARD_OF},
}


@pytest.mark.parametrize("name", WITHOUT_URL)
def test_function_without_a_url_uses_exactly_its_permissions(
    traced: tuple[World, Trace], template: Template, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    world, trace = traced
    trace.watch(bus()._client)
    monkeypatch.setattr(streams, "SWEPT_AFTER", timedelta(0))
    monkeypatch.setenv("VIEWER_PRINCIPAL", world.uuid("viewer"))
    settings.cache_clear()
    function = template.functions[name]
    events = WITHOUT_URL[name](world, sample(function))
    trace.clear()
    for event in events:
        result = trace.invoke(function, event)
        assert not result.get("batchItemFailures"), result
    if name in REFUSED:
        asked = {"request_token": "refused"} if name == "Provision" else sample(function) | {"request_token": "refused"}
        with pytest.raises(FunctionFailed, match="Refused"):
            trace.invoke(function, asked | REFUSED[name])
    assert needless(of_its_calls(template, name), trace.asked(name)) == needed_by_others(template, name)


def test_every_function_without_a_url_has_its_permissions_compared(template: Template) -> None:
    automation = {name for name, function in template.functions.items() if is_automation(function)}
    assert set(WITHOUT_URL) == automation - {"Fsck", "Redrive"}


STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/atrium/stream/local"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:ProjectRequests"
EVENTS_QUEUE, DELIVERIES_QUEUE = (
    QUEUE.replace("ProjectRequests", name) for name in ("WebhookEvents", "WebhookDeliveries.fifo")
)
WEBHOOK_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/WebhookKey"
DEAD_LETTERS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:DeadLetters"

READS_STREAM = [f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")]
READS_QUEUE = [f"sqs:{name}" for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")]
HANDS_ON = ["sqs:SendMessage"]

BEHIND = {
    "PublishEvents": {STREAM: READS_STREAM, DEAD_LETTERS: HANDS_ON},
    "PurgeDeleted": {STREAM: READS_STREAM, DEAD_LETTERS: HANDS_ON},
    "CreateProjectFromEvent": {QUEUE: READS_QUEUE},
    "AddViewer": {DEAD_LETTERS: HANDS_ON},
    "ExportEvents": {"arn:aws:s3:::exports/atrium/events/*": ["s3:PutObject"]},
    # The name of the function in this case.
    "Redrive": {
        DEAD_LETTERS: [f"sqs:{name}" for name in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")],
        STREAM: ["dynamodb:GetShardIterator", "dynamodb:GetRecords"],
        **{
            function_arn(name): ["lambda:InvokeFunction"]
            for name in ("PublishEvents", "PurgeDeleted", "CreateProjectFromEvent", "AddViewer", "FanOutEvents")
        },
    },
    "FanOutEvents": {EVENTS_QUEUE: [*READS_QUEUE, *HANDS_ON], DELIVERIES_QUEUE: HANDS_ON},
    "DeliverEvents": {
        WEBHOOK_KEY: ["kms:GenerateMac"],
        DELIVERIES_QUEUE: [*READS_QUEUE, *HANDS_ON],
        EVENTS_QUEUE: HANDS_ON,
    },
    "SweepDeliveries": {DELIVERIES_QUEUE: HANDS_ON},
    "V1CreateWebhook": {WEBHOOK_KEY: ["kms:GenerateMac"]},
    "V1RotateWebhook": {WEBHOOK_KEY: ["kms:GenerateMac"]},
}


def test_role_of_a_function_permits_its_event_sources(template: Template) -> None:
    for name in template.functions:
        called = of_its_calls(template, name)
        rest = [each for each in statements(template, name) if each not in called]
        found: dict[str, list[str]] = {}
        for each in rest:
            found[each["Resource"]] = found.get(each["Resource"], []) + each["Action"]
        assert found == ALWAYS | BEHIND.get(name, {}), name
        assert not any("Condition" in each for each in rest), name


def test_role_is_for_lambda_and_has_no_managed_policy(template: Template) -> None:
    """AWS's managed policies cover all resources of an account."""
    for name in template.functions:
        role = role_of(template, name)
        assert set(role) <= {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"}, name
        assert role["ManagedPolicyArns"] == [{"Ref": "LogAndTrace"}], name
        assert role["AssumeRolePolicyDocument"]["Statement"] == [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        ]


def test_no_two_roles_are_equal(template: Template) -> None:
    roles = {name: item["Properties"] for name, item in template.resources.items() if item["Type"] == "AWS::IAM::Role"}
    assert len({json.dumps(role) for role in roles.values()}) == len(roles)
    used = {template.resources[name]["Properties"]["Role"]["Fn::GetAtt"][0] for name in template.functions}
    assert used == set(roles)


def test_call_without_permission_is_refused_as_in_the_cloud(template: Template, engine: str, tmp_path: Path) -> None:
    """A permission missing in the template fails a test, even a test that swallows the refusal."""
    forgetful = deepcopy(template)
    (policy,) = role_of(forgetful, "V1DeleteProject")["Policies"]
    policy["PolicyDocument"]["Statement"][1]["Action"].remove("dynamodb:DeleteItem")
    refused = pytest.raises(AssertionError, match="V1DeleteProject dynamodb:DeleteItem")
    with refused, inline(forgetful, engine, tmp_path, call) as world:
        project = world.new_project()
        if world("DELETE", project).seen != (500, {"detail": "Internal server error."}):
            pytest.fail("It was not refused.")
        if world("GET", project).status != 200:
            pytest.fail("It was done.")


def is_automation(function: Function) -> bool:
    return function.handler.startswith("automation.")
