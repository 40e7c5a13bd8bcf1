"""The laptop edition's bus, rules and schedules invoke functions by EventBridge's rules."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from local import automation
from local import template as templates
from local.automation import Automation, Log, at_once, period, scheduled_event
from local.bus import Event, served
from local.endpoints import endpoints_of
from local.functions import FunctionFailed
from local.letters import Letters
from local.queues import Queues
from local.template import REGION, ROOT, Function, Queue, Template, function_arn, lambda_environment
from tests.support.client import Published
from tests.support.clock import NET
from tests.support.processes import wait_for
from tests.support.redrive import waiting
from tests.support.world import KEY


class Invocations(list[tuple[str, Any]]):
    """Functions that record their invocations, of which the first `failures` fail."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        self.append((function.name, event))
        if len(self) <= self.failures:
            raise FunctionFailed("KeyError", "broken")


def put(source: str, kind: str, detail: str = "{}", bus: str = "atrium-events") -> Event:
    events = Published()
    entry = {"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": detail}
    assert events.put_events({"Entries": [entry]})[1]["FailedEntryCount"] == 0
    return events.events[0]


@pytest.fixture
def with_viewer() -> Template:
    return Template(ViewerPrincipal="4d30d21a-0811-8000-8000-6d9ced4c2aa8")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "_RETRY_AFTER", 0.01)


@pytest.fixture
def automated(tmp_path: Path) -> Iterator[Callable[[Template, Invocations], Automation]]:
    made: list[Automation] = []

    def make(template: Template, invoke: Invocations) -> Automation:
        log = Log(tmp_path)
        made.append(Automation(template, invoke, log, Queues(template.queues, log.letters)))
        return made[-1]

    yield make
    for each in made:
        each.stop()


Make = Callable[[Template, Invocations], Automation]


def test_a_rule_invokes_its_function_for_matching_events_of_its_bus(automated: Make, with_viewer: Template) -> None:
    invocations = Invocations()
    subject = automated(with_viewer, invocations)
    for source, kind, bus in (
        ("atrium", "project.updated", "atrium-events"),
        ("crm", "project.created", "atrium-events"),
        ("atrium", "project.created", "default"),
    ):
        subject.take(put(source, kind, bus=bus))
    wanted = put("atrium", "project.created", '{"project_id": "p"}')
    subject.take(wanted)
    subject.finish()
    assert invocations == [("AddViewer", wanted.envelope)]
    assert list(wanted.envelope) == [
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    ]


def test_a_disabled_rule_invokes_no_function(automated: Make, template: Template) -> None:
    assert {rule.name for rule in template.rules} == {
        *("ProjectRequested", "EventPublished", "SweepDeletedTimer", "SweepDeliveriesTimer")
    }
    invocations = Invocations()
    subject = automated(template, invocations)
    subject.take(put("atrium", "project.created"))
    subject.finish()
    assert invocations == []


def test_a_command_beside_no_instance_waits_for_the_functions_that_rules_invoke(
    with_viewer: Template, tmp_path: Path
) -> None:
    """This one fails, is retried for three seconds, and leaves a dead letter."""
    with endpoints_of(tmp_path, with_viewer) as endpoints:
        bus = boto3.client(
            "events",
            endpoint_url=endpoints["eventbridge"],
            region_name=REGION,
            aws_access_key_id=endpoints["access_key_id"],
            aws_secret_access_key="unused",
        )
        entry = {"EventBusName": "atrium-events", "Source": "atrium", "DetailType": "project.created", "Detail": "{}"}
        assert bus.put_events(Entries=[entry])["FailedEntryCount"] == 0
    (letter,) = waiting(Letters(tmp_path / "dead-letters.jsonl"))
    assert letter["requestContext"]["functionArn"] == function_arn("AddViewer")
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    assert letter["requestPayload"]["detail-type"] == "project.created"


@pytest.mark.usefixtures("quick")
def test_a_failing_event_is_retried_and_then_becomes_a_dead_letter(
    automated: Make, with_viewer: Template, tmp_path: Path
) -> None:
    event = put("atrium", "project.created", '{"project_id": "p"}')
    enough = Invocations(failures=2)
    for invocations in (enough, never := Invocations(failures=9)):
        assert not (tmp_path / "dead-letters.jsonl").exists()
        subject = automated(with_viewer, invocations)
        subject.take(event)
        subject.finish()
    assert len(enough) == 3
    letter = json.loads((tmp_path / "dead-letters.jsonl").read_text())
    assert (len(never), letter["queue"], letter["requestPayload"]) == (3, "DeadLetters", event.envelope)
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == 3


def test_a_rule_puts_the_whole_event_into_its_queue(automated: Make, template: Template) -> None:
    subject = automated(template, Invocations())
    subject.take(put("acme.crm", "project.requested", '{"price": 1.10}'))
    ((message,),) = (
        queue.receive(10, within=0) for arn, queue in subject._queues.items() if arn.endswith("ProjectRequests")
    )
    assert json.loads(message.body)["source"] == "acme.crm"
    assert message.body.endswith('"detail": {"price": 1.10}}'), "numbers keep their spelling"


def test_events_of_atrium_are_lines_of_a_file_with_unchanged_text(
    automated: Make, template: Template, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    subject = automated(template, Invocations())
    subject.take(put("atrium", "project.updated", '{"project_id":"p","sequence":7,\n"n":1.10,"s":"\u2028é"}'))
    subject.take(put("crm", "thing.happened"))
    assert (tmp_path / "events.jsonl").read_text() == '{"project_id":"p","sequence":7, "n":1.10,"s":"\u2028é"}\n'
    said = [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    assert said == ["event project.updated p 7", "event thing.happened of crm"]


def test_put_events_answers_like_eventbridge_and_can_be_disturbed() -> None:
    entry = {"EventBusName": "atrium-events", "Source": "atrium", "DetailType": "t", "Detail": '{"n": 1}'}
    bus = Published()
    with served(bus, KEY):
        client = boto3.client(
            "events",
            endpoint_url=bus.url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key="unused",
            config=Config(retries={"total_max_attempts": 1}),
        )
        answer = client.put_events(Entries=[entry, {**entry, "Detail": "{"}, {**entry, "Detail": "[]"}])
        assert answer["FailedEntryCount"] == 2
        assert answer["Entries"][0] == {"EventId": bus.events[0].envelope["id"]}
        assert [each.get("ErrorCode") for each in answer["Entries"][1:]] == ["MalformedDetail"] * 2
        with pytest.raises(ClientError, match="ValidationException"):
            client.put_events(Entries=[entry] * 11)

        bus.before = lambda entries: {1}
        answer = client.put_events(Entries=[entry] * 3)
        assert [each.get("ErrorCode") for each in answer["Entries"]] == [None, "InternalFailure", None]
        assert len(bus.events) == 3

        bus.before = _raise(RuntimeError())
        with pytest.raises(ClientError) as caught:
            client.put_events(Entries=[entry])
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        bus.before = _raise(ConnectionResetError())
        with pytest.raises(ConnectionClosedError):
            client.put_events(Entries=[entry])
        assert len(bus.events) == 3
        bus.before, bus.after = lambda _: (), _raise(ConnectionResetError())
        with pytest.raises(ConnectionClosedError):
            client.put_events(Entries=[entry])
        assert len(bus.events) == 4, "accepted, but the answer is lost"


def _raise(error: Exception) -> Callable[[Any], Any]:
    def hook(_: Any) -> Any:
        raise error

    return hook


QUEUES = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  WebhookKeyArn: {Type: String, Default: ""}
Conditions:
  HasWebhookKey: !Not [!Equals [!Ref WebhookKeyArn, ""]]
Resources:
  Deliver:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/
      Handler: deliver.handler
      Runtime: python3.13
      Timeout: 40
      MemorySize: 256
      Role: arn:aws:iam::000000000000:role/any
      Layers: []
      Environment:
        Variables:
          EVENTS: !Ref Events
          DELIVERIES: !Ref Deliveries
          WEBHOOK_KEY: !If [HasWebhookKey, !Ref WebhookKeyArn, !GetAtt WebhookKey.Arn]
      Events:
        Deliveries:
          Type: SQS
          Properties: {Queue: !GetAtt Deliveries.Arn, BatchSize: 1, ScalingConfig: {MaximumConcurrency: 2}}
        Events:
          Type: SQS
          Properties: {Queue: !GetAtt Events.Arn, BatchSize: 10}
  Events:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: 240}
  Deliveries:
    Type: AWS::SQS::Queue
    Properties: {FifoQueue: true, VisibilityTimeout: 240, DeduplicationScope: messageGroup}
  WebhookKey:
    Type: AWS::KMS::Key
    DeletionPolicy: Retain
    Properties: {KeySpec: HMAC_256, KeyUsage: GENERATE_VERIFY_MAC}
  WebhookKeyAlias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: alias/webhooks, TargetKeyId: !Ref WebhookKey}
"""


@pytest.fixture
def with_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Template:
    """A template with a FIFO queue that is read by two invocations at a time."""
    monkeypatch.setattr(templates, "KEPT", tmp_path / "translated.json")
    path = tmp_path / "template.yaml"
    path.write_text(QUEUES)
    return Template(path)


def test_queues_and_keys_have_the_names_of_aws(with_queues: Template) -> None:
    function = with_queues.functions["Deliver"]
    assert function.environment == {
        "EVENTS": "https://sqs.us-east-1.amazonaws.com/000000000000/Events",
        "DELIVERIES": "https://sqs.us-east-1.amazonaws.com/000000000000/Deliveries.fifo",
        "WEBHOOK_KEY": "arn:aws:kms:us-east-1:000000000000:key/WebhookKey",
    }
    laptop = lambda_environment(function, "http://d", "http://e", "k")
    assert (laptop["WEBHOOK_LOOPBACK"], laptop["AWS_ENDPOINT_URL_KMS"]) == ("allowed", "http://e")
    events, deliveries = (
        "arn:aws:sqs:us-east-1:000000000000:Events",
        "arn:aws:sqs:us-east-1:000000000000:Deliveries.fifo",
    )
    assert with_queues.queues == {
        events: Queue(events),
        deliveries: Queue(deliveries, fifo=True, once_by_group=True),
    }
    assert {source.source: (source.batch_size, source.concurrency) for source in with_queues.event_sources} == {
        events: (10, None),
        deliveries: (1, 2),
    }


def test_a_group_that_hangs_delays_no_other(with_queues: Template, tmp_path: Path) -> None:
    done: list[str] = []
    ends = threading.Event()

    def invoke(function: Function, event: Mapping[str, Any]) -> None:
        (record,) = event["Records"]
        if record["body"] == "hangs":
            ends.wait(NET)
        done.append(record["body"])

    log = Log(tmp_path)
    queues = Queues(with_queues.queues, log.letters)
    subject = Automation(with_queues, invoke, log, queues)
    (source,) = (each for each in with_queues.event_sources if each.concurrency)
    queue = queues.by_arn[source.source]
    for body, group in (("hangs", "a"), ("after it", "a"), ("1", "b"), ("2", "b"), ("3", "c")):
        queue.send(body, group=group, once=body)
    try:
        subject.read_queue(source)
        wait_for(lambda: len(done) == 3)
        assert sorted(done) == ["1", "2", "3"]
        assert done.index("1") < done.index("2")
    finally:
        ends.set()
    wait_for(lambda: len(done) == 5)
    assert done[-2:] == ["hangs", "after it"]
    subject.stop()


def test_a_limit_of_the_template_holds_for_a_queue_up_to_that_of_a_laptop(with_queues: Template) -> None:
    concurrencies = {source.concurrency: at_once(source) for source in with_queues.event_sources}
    assert concurrencies == {2: 2, None: 5}
    assert at_once(replace(with_queues.event_sources[0], concurrency=40)) == 16


def test_a_schedule_has_a_period_and_the_event_of_eventbridge(template: Template) -> None:
    (rule,) = (rule for rule in template.rules if rule.name == "SweepDeletedTimer")
    assert period(str(rule.schedule)) == 15 * 60
    assert [period(f"rate({each})") for each in ("1 minute", "2 hours", "1 day")] == [60, 7200, 86400]
    with pytest.raises(ValueError, match="not known"):
        period("cron(0 12 * * ? *)")
    sample = json.loads((ROOT / "events/automation/sweep_deleted.json").read_text())
    sent = scheduled_event(rule)
    assert {**sent, "id": sample["id"], "time": sample["time"]} == sample


def test_a_scheduled_function_runs_once_a_period(automated: Make, template: Template) -> None:
    invocations = Invocations()
    subject = automated(template, invocations)
    (rule,) = (rule for rule in template.rules if rule.name == "SweepDeletedTimer")
    subject._start("timer", subject._keep_time, rule, 1)
    wait_for(lambda: len(invocations) >= 2)
    assert [name for name, _ in invocations[:2]] == ["SweepDeleted"] * 2
    assert [event["detail-type"] for _, event in invocations[:2]] == ["Scheduled Event"] * 2
