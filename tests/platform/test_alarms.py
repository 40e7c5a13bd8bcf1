"""Alarms and dashboard: their metrics exist, and alarms go off in time."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from atrium import telemetry
from atrium.store.engine.wire import wire_item
from atrium.telemetry import UNITS
from local.functions import call
from local.template import ROOT, Template, parsed
from tests.support.client import World, flat_path
from tests.support.clock import unhurried
from tests.support.faults import faulty, once_before_the_commit
from tests.support.logs import Said, measured
from tests.support.mill import Mill
from tests.support.receiver import receivers
from tests.support.requests import FLAT
from tests.support.rows import meta_of
from tests.support.webhooks import new_webhook
from tests.support.world import the_template
from tools import versioned

# AWS's metrics used by alarms and dashboard, each with its possible sets of dimensions.
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

OBSERVABILITY = parsed((ROOT / "observability.yaml").read_text())
STACK = "atrium-prod"


def exports(template: Template) -> dict[str, Any]:
    """The main stack's exports, by name."""
    outputs = parsed((ROOT / "template.yaml").read_text())["Outputs"].values()
    named = [output for output in outputs if "Export" in output]
    return {
        output["Export"]["Name"]["Fn::Sub"].replace("${AWS::StackName}", STACK): output["Value"] for output in named
    }


def resolved(value: Any, known: Mapping[str, Any]) -> Any:
    """A value of observability.yaml with its intrinsic functions replaced; an import becomes <name>."""
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
    """The properties of the resources in observability.yaml, by logical id, for a stack and a topic."""
    known = {"Stack": STACK, "AlarmTopic": "arn:topic", "AWS::Region": "us-east-1", "exports": exports(the_template())}
    return {name: resolved(item["Properties"], known) for name, item in OBSERVABILITY["Resources"].items()}


def alarms(watching: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: item for name, item in watching.items() if "AlarmName" in item}


Metric = tuple[str, str, dict[str, str]]


def metrics_of(alarm: Mapping[str, Any]) -> list[Metric]:
    """The metric of an alarm, or those in its expression."""
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


def test_alarms_and_dashboard_use_existing_metrics(
    world: World, other: World, template: Template, watching: Mapping[str, Any], said: Said
) -> None:
    """Atrium's metrics are compared with those emitted by requests, events and purges, dimensions included."""
    said()
    live_through_everything(world, other, template)
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


def live_through_everything(world: World, other: World, template: Template) -> None:
    for _ in range(2):
        world("POST", "/projects", FLAT, key="k")
        world("POST", world.projects(), {"name": "Apollo"}, key="k")
    project = world.new_project()
    for path, body in ((project, {"name": "B"}), (flat_path(project), FLAT)):
        stale = world("PATCH" if path == project else "PUT", path, body, headers={"If-Match": '"v-99"'})
        assert stale.status == 412
    second = world.new_project()
    renamed = ("PATCH", project, {"name": "B"}), ("PUT", flat_path(second), FLAT)
    rivals = ("PUT", flat_path(project), FLAT), ("PATCH", second, {"name": "B"})
    for request, rival in zip(renamed, rivals, strict=True):
        with faulty(once_before_the_commit(partial(other, *rival), also=2), unhurried()):
            assert world(*request).status == 200
    with faulty(lambda *_: "hang", unhurried()):
        world("GET", "/projects", by="outsider")
    change = {"NewImage": wire_item(meta_of(world, project)), "SequenceNumber": "1"}
    late = {**change, "ApproximateCreationDateTime": int(time.time()) + 60}
    call(template.functions["PublishEvents"], {"Records": [{"dynamodb": late}]})
    world("DELETE", project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        call(template.functions["SweepDeleted"], {})
    deliver(world, template)


def deliver(world: World, template: Template) -> None:
    """An event arrives at one webhook and ends another; then there is a sweep."""
    with pytest.MonkeyPatch.context() as patch, receivers(2) as (fine, gone):
        gone.answer = lambda _: 410
        for each in (fine, gone):
            new_webhook(world, url=each.url, events=["project.created"])
        mill = Mill(world, template, patch)
        world.new_project()
        mill.feed()
        mill.settle()
        mill.sweep()
        assert (len(fine.accepted), len(gone.received)) == (1, 1)


def test_the_alarms_use_the_exports_of_the_stack(template: Template, watching: Mapping[str, Any]) -> None:
    exported = exports(template)
    assert exported == {
        f"{STACK}-Table": {"Ref": "Table"},
        f"{STACK}-DeadLetters": {"Fn::GetAtt": ["DeadLetters", "QueueName"]},
        f"{STACK}-ProjectRequests": {"Fn::GetAtt": ["ProjectRequests", "QueueName"]},
        f"{STACK}-WebhookEvents": {"Fn::GetAtt": ["WebhookEvents", "QueueName"]},
        f"{STACK}-WebhookDeliveries": {"Fn::GetAtt": ["WebhookDeliveries", "QueueName"]},
        f"{STACK}-PublishEvents": {"Ref": "PublishEvents"},
        f"{STACK}-Logs": {"Ref": "Logs"},
    }
    # The title of its document is the name of an imported API.
    assert template.api["info"]["title"] == "atrium"
    assert template.resources["Api"]["Properties"]["Body"]["info"]["title"] == {"Ref": "AWS::StackName"}
    metrics = [metric for alarm in alarms(watching).values() for metric in metrics_of(alarm)]
    values = {value for _, _, dimensions in metrics for value in dimensions.values()}
    queues = {"<DeadLetters>", "<ProjectRequests>", "<WebhookEvents>", "<WebhookDeliveries>"}
    assert values == {STACK, "<Table>", "<PublishEvents>", *queues}


def test_every_alarm_notifies_the_topic_and_is_quiet_without_traffic(watching: Mapping[str, Any]) -> None:
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
            "late-events",
            "purging-behind",
            "purging-stopped",
            "sweep-stopped",
            "webhook-events-behind",
            "webhook-deliveries-behind",
            "deliveries-behind",
            "deliveries-stopped",
            "webhooks-disabled",
        )
    }
    for name, alarm in found.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["arn:topic"], name
        # Three watch metrics that arrive without traffic too.
        always = name in ("PublishingStopped", "SweepStopped", "DeliveriesStopped")
        assert alarm["TreatMissingData"] == ("breaching" if always else "notBreaching"), name
        assert alarm["AlarmDescription"].endswith("."), name
    for item in OBSERVABILITY["Resources"].values():
        if item["Type"] == "AWS::CloudWatch::Alarm":
            assert item["Properties"]["AlarmActions"]["Fn::If"][::2] == ["HasTopic", {"Ref": "AWS::NoValue"}]


@dataclass(frozen=True)
class Minute:
    """One minute of the metrics: all requests, the failed ones, and those slower than 3 s."""

    requests: int
    failures: int = 0
    slow: int = 0


def value(alarm: Mapping[str, Any], window: Sequence[Minute]) -> float:
    """CloudWatch's value of a window: the percentile, or the expression, IF(condition, value, otherwise)."""
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
    """The minute at whose end the alarm goes off, or None. The window slides by a minute."""
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
    """A canary gets a tenth of the requests, and here all of those fail or are slow. Metrics may arrive two minutes
    late, so the alarm has to go off with those of the first three minutes.
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
def test_a_low_rate_or_a_low_number_of_failures_is_no_alarm(watching: Mapping[str, Any], name: str) -> None:
    alarm = watching[name]
    assert goes_off(alarm, [Minute(20_000, failures=50)] * 60) is None, "one in 400, all day"
    assert goes_off(alarm, [Minute(1), Minute(1, failures=1)] * 30) is None, "three in five minutes, of five"
    assert goes_off(alarm, [Minute(10)] * 10 + [Minute(10, failures=5)]) == 11
    assert goes_off(alarm, [Minute(20_000, failures=200)] * 60) == 5


def test_one_slow_minute_is_no_alarm_and_two_of_three_are(watching: Mapping[str, Any]) -> None:
    slow, fine = Minute(100, slow=2), Minute(100, slow=1)
    assert goes_off(watching["Latency"], [fine] * 5 + [slow] + [fine] * 5) is None
    assert goes_off(watching["Latency"], [fine] * 5 + [slow, fine, slow]) == 8


def test_an_alarm_on_a_percentile_evaluates_few_requests_too(watching: Mapping[str, Any]) -> None:
    """CloudWatch would keep its state below 10 / (1 - 0.99) = 1,000 samples a period."""
    by_percentile = [alarm for alarm in alarms(watching).values() if "ExtendedStatistic" in alarm]
    assert by_percentile
    assert {alarm["EvaluateLowSampleCountPercentile"] for alarm in by_percentile} == {"evaluate"}
