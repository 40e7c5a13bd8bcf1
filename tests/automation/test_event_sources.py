"""What Lambda, EventBridge and SQS do between an event and a function, as the laptop edition does it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from local import automation, event_sources
from local.automation import Automation, Log, period, scheduled_event
from local.bus import Event, served
from local.event_sources import Message, MessageQueue, QueueSource, StreamSource
from local.functions import FunctionFailed, FunctionTimedOut
from local.template import REGION, ROOT, EventSource, Function, Template
from tests.support.client import Published
from tests.support.clock import NET, unhurried
from tests.support.processes import wait_for
from tests.support.world import KEY

SHARD = "shardId-1"


def record(number: int, created: float | None = None, name: str = "INSERT") -> dict[str, Any]:
    change = {
        "ApproximateCreationDateTime": created or time.time(),
        "Keys": {"pk": {"S": f"PURGE#{number % 8}"}, "sk": {"S": "META"}},
        "NewImage": {"last_event": {"M": {"id": {"S": f"{number}"}}}},
        "SequenceNumber": f"{number:021}",
    }
    return {"eventName": name, "dynamodb": change}


def numbers(batch: Mapping[str, Any]) -> list[int]:
    return [int(each["dynamodb"]["SequenceNumber"]) for each in batch["Records"]]


class Consumer:
    """A function that reports those of `bad`, or raises for a batch with one of them, and remembers its batches."""

    def __init__(self, *bad: int, raises: bool = False) -> None:
        self.bad = set(bad)
        self.raises = raises
        self.batches: list[list[int]] = []

    def __call__(self, function: Function, event: Mapping[str, Any]) -> Any:
        batch = numbers(event)
        self.batches.append(batch)
        failed = [number for number in batch if number in self.bad]
        if failed and self.raises:
            raise FunctionFailed("KeyError", "poison")
        return {"batchItemFailures": [{"itemIdentifier": f"{number:021}"} for number in failed]}

    @property
    def processed(self) -> set[int]:
        """Those that were in a batch and not reported."""
        if self.raises:
            return {number for batch in self.batches if not self.bad & set(batch) for number in batch}
        return {number for batch in self.batches for number in batch} - self.bad


class Letters(list[tuple[str, dict[str, Any]]]):
    def leave(self, queue: str, letter: Mapping[str, Any]) -> None:
        self.append((queue, dict(letter)))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        infos = [letter["DDBStreamBatchInfo"] for _, letter in self]
        return [(int(info["startSequenceNumber"]), int(info["endSequenceNumber"])) for info in infos]


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def publishing(template: Template) -> EventSource:
    return next(source for source in template.event_sources if source.name == "PublishEventsChanges")


def deliver(settings: EventSource, invoke: Any, letters: Letters, records: list[dict[str, Any]]) -> list[int]:
    """Delivers, without waiting between retries; the positions it was done up to, in turn."""
    source = StreamSource(settings, invoke, letters.leave, pause=lambda _: None)
    return [int(position) for position in source.deliver(SHARD, records)]


# ---------------------------------------------------------------- streams


def test_the_template_is_where_the_settings_are_from(publishing: EventSource, template: Template) -> None:
    assert publishing.function == template.functions["PublishEvents"]
    assert (publishing.batch_size, publishing.reports_failures, publishing.bisects) == (100, True, True)
    assert (publishing.retries, publishing.max_age, publishing.starting_position) == (None, 43200, "TRIM_HORIZON")
    assert publishing.on_failure in template.queues
    assert {source.function.name: source.batch_size for source in template.event_sources} == {
        "PublishEvents": 100,
        "PurgeDeleted": 10,
        "CreateProjectFromEvent": 1,
    }


def test_a_batch_is_full_at_most_and_each_one_is_done_in_turn(publishing: EventSource, letters: Letters) -> None:
    consumer = Consumer()
    done = deliver(replace(publishing, batch_size=3), consumer, letters, [record(n) for n in range(1, 8)])
    assert consumer.batches == [[1, 2, 3], [4, 5, 6], [7]]
    assert done == [3, 6, 7, 7]
    assert letters == []


def test_what_no_filter_wants_is_done_without_the_function(template: Template, letters: Letters) -> None:
    sources = {source.function.name: source for source in template.event_sources}
    publishing, purging = sources["PublishEvents"], sources["PurgeDeleted"]
    other = record(3)
    other["dynamodb"]["Keys"] = {"pk": {"S": "T#1#P#2"}, "sk": {"S": "ROLE#3"}}
    bare = record(4)
    bare["dynamodb"]["NewImage"] = {"name": {"S": "a space's META has no event"}}
    records = [record(1), record(2, name="MODIFY"), other, bare, record(5, name="REMOVE")]
    for settings, wanted in ((publishing, [1, 2]), (purging, [1, 4])):
        consumer = Consumer()
        assert deliver(settings, consumer, letters, records)[-1] == 5
        assert consumer.batches == [wanted], settings.name
    consumer = Consumer()
    assert deliver(purging, consumer, letters, [other]) == [3]
    assert consumer.batches == [], "a batch of nothing is not delivered"


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("poison", [1, 2, 4, 7, 8])
def test_a_poison_record_becomes_a_dead_letter_and_the_rest_of_its_batch_is_processed(
    publishing: EventSource, letters: Letters, poison: int, raises: bool
) -> None:
    consumer = Consumer(poison, raises=raises)
    done = deliver(replace(publishing, retries=10), consumer, letters, [record(n) for n in range(1, 9)])
    assert consumer.processed == set(range(1, 9)) - {poison}
    assert letters.ranges == [(poison, poison)]
    assert consumer.batches.count([poison]) == 1 + 10, "one attempt, and MaximumRetryAttempts"
    assert done[-1] == 8
    assert done == sorted(done), "a checkpoint never goes back"


def test_a_dead_letter_says_what_lambdas_says(publishing: EventSource, letters: Letters) -> None:
    created = int(time.time()) - 10
    settings = replace(publishing, bisects=False, retries=10)
    deliver(settings, Consumer(2), letters, [record(n, created + n) for n in (1, 2, 3)])
    ((queue, letter),) = letters
    assert queue == publishing.on_failure
    context = letter["requestContext"]
    assert context.pop("requestId")
    assert context == {
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:PublishEvents",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 11,
    }
    assert letter["DDBStreamBatchInfo"] == {
        "shardId": SHARD,
        "startSequenceNumber": f"{2:021}",
        "endSequenceNumber": f"{3:021}",
        "approximateArrivalOfFirstRecord": event_sources.moment(created + 2),
        "approximateArrivalOfLastRecord": event_sources.moment(created + 3),
        "batchSize": 2,
        "streamArn": publishing.source,
    }


def test_everything_from_the_lowest_reported_record_on_comes_again(publishing: EventSource, letters: Letters) -> None:
    """Whatever else was reported, in whatever order."""
    batches: list[list[int]] = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        batches.append(numbers(event))
        failed = [f"{n:021}" for n in (5, 3)] if len(batches) == 1 else []
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

    done = deliver(publishing, invoke, letters, [record(n) for n in range(1, 7)])
    assert batches == [[1, 2, 3, 4, 5, 6], [3, 4, 5, 6]]
    assert done == [2, 6, 6]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_nothing_reported_is_success(publishing: EventSource, letters: Letters, answer: Any) -> None:
    assert deliver(publishing, lambda *_: answer, letters, [record(1), record(2)]) == [2, 2]
    assert letters == []


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": f"{2:021}"}]},
        {"batchItemFailures": "all"},
        ["all"],
    ],
)
def test_a_report_that_cannot_be_understood_is_a_failed_batch(
    publishing: EventSource, letters: Letters, answer: Any
) -> None:
    batches = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        batches.append(numbers(event))
        return answer if len(batches) == 1 else None

    deliver(replace(publishing, bisects=False), invoke, letters, [record(1), record(2)])
    assert batches == [[1, 2], [1, 2]]


def test_without_reports_an_answer_says_nothing(publishing: EventSource, letters: Letters) -> None:
    consumer = Consumer(1)
    deliver(replace(publishing, reports_failures=False), consumer, letters, [record(1)])
    assert (consumer.batches, letters) == ([[1]], [])


def test_a_function_that_times_out_has_failed(publishing: EventSource, letters: Letters) -> None:
    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        raise FunctionTimedOut(function.name)

    assert deliver(replace(publishing, retries=0), invoke, letters, [record(1), record(2)])[-1] == 2
    assert letters.ranges == [(1, 1), (2, 2)]


def test_without_bisecting_a_batch_is_given_up_as_a_whole(publishing: EventSource, letters: Letters) -> None:
    consumer = Consumer(2, raises=True)
    deliver(replace(publishing, bisects=False, retries=2), consumer, letters, [record(1), record(2)])
    assert consumer.batches == [[1, 2]] * 3
    assert letters.ranges == [(1, 2)]


def test_a_record_that_is_too_old_is_a_dead_letter_without_the_function(
    publishing: EventSource, letters: Letters
) -> None:
    long_ago = time.time() - 43200 - 5
    consumer = Consumer()
    done = deliver(publishing, consumer, letters, [record(1, long_ago), record(2, long_ago), record(3)])
    assert (consumer.batches, done[-1]) == ([[3]], 3)
    assert letters.ranges == [(1, 2)]
    assert letters[0][1]["requestContext"]["condition"] == "RecordAgeExceeded"
    deliver(replace(publishing, max_age=None), consumer, letters, [record(4, long_ago)])
    assert consumer.batches[-1] == [4]


def test_retries_wait_longer_each_time_and_not_too_long(publishing: EventSource, letters: Letters) -> None:
    waits: list[float] = []
    source = StreamSource(replace(publishing, retries=10), Consumer(1), letters.leave, pause=waits.append)
    list(source.deliver(SHARD, [record(1)]))
    assert waits == [0.1, 0.2, 0.4, 0.8, *[1.0] * 6]


# ---------------------------------------------------------------- queues


@pytest.fixture
def requests(template: Template) -> EventSource:
    return next(source for source in template.event_sources if source.source in template.queues)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sources, "REDELIVERED_AFTER", 0.0)


def test_a_message_looks_like_lambdas_and_what_is_processed_is_gone(
    template: Template, requests: EventSource, letters: Letters
) -> None:
    queue = MessageQueue(template.queues[requests.source])
    seen: list[Any] = []
    source = QueueSource(replace(requests, batch_size=2), queue, lambda _, event: seen.append(event), letters.leave)
    for number in range(3):
        queue.send(f"{number}")
    for _ in range(3):
        source.deliver(within=0)
    assert [len(event["Records"]) for event in seen] == [2, 1], "BatchSize"
    sample = json.loads((ROOT / "events/automation/create_project_from_event.json").read_text())
    assert set(seen[0]["Records"][0]) == set(sample["Records"][0])
    message = seen[0]["Records"][0]
    assert (message["body"], message["eventSource"], message["awsRegion"]) == ("0", "aws:sqs", "us-east-1")
    assert message["eventSourceARN"] == "arn:aws:sqs:us-east-1:000000000000:ProjectRequests"
    assert message["attributes"]["ApproximateReceiveCount"] == "1"
    assert letters == []


@pytest.mark.usefixtures("at_once")
def test_only_the_message_that_was_reported_comes_again_until_it_is_a_dead_letter(
    template: Template, requests: EventSource, letters: Letters
) -> None:
    queue = MessageQueue(template.queues[requests.source])
    seen: list[list[tuple[str, str]]] = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        records = event["Records"]
        seen.append([(each["body"], each["attributes"]["ApproximateReceiveCount"]) for each in records])
        failed = [each["messageId"] for each in records if each["body"] == "poison"]
        return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}

    source = QueueSource(replace(requests, batch_size=10), queue, invoke, letters.leave)
    for body in ("a", "poison", "b"):
        queue.send(body)
    for _ in range(8):
        source.deliver(within=0)
    assert seen == [[("a", "1"), ("poison", "1"), ("b", "1")], *([("poison", f"{n}")] for n in (2, 3, 4, 5))]
    ((queue_arn, letter),) = letters
    assert (queue_arn, letter["body"]) == (template.queues[requests.source].redrive_to, "poison")


@pytest.mark.usefixtures("at_once")
def test_a_batch_that_failed_or_reported_nonsense_comes_again_whole(
    template: Template, requests: EventSource, letters: Letters
) -> None:
    queue = MessageQueue(template.queues[requests.source])
    batches: list[list[str]] = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        batches.append([each["body"] for each in event["Records"]])
        if len(batches) == 1:
            raise FunctionFailed("KeyError", "broken")
        return {"batchItemFailures": [{"itemIdentifier": "unknown"}]} if len(batches) == 2 else None

    source = QueueSource(replace(requests, batch_size=10), queue, invoke, letters.leave)
    queue.send("a")
    queue.send("b")
    for _ in range(5):
        source.deliver(within=0)
    assert batches == [["a", "b"]] * 3


def test_a_message_that_failed_is_out_of_sight_for_a_while(
    template: Template, requests: EventSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = unhurried()
    monkeypatch.setattr(event_sources, "time", clock)
    queue = MessageQueue(template.queues[requests.source])
    queue.send("a")
    (message,) = queue.receive(10, within=0)
    queue.put_back(message, after=30)
    clock.sleep(29.9)
    assert queue.receive(10, within=0) == []
    clock.sleep(0.2)
    (again,) = queue.receive(10, within=0)
    assert again.receives == 2


def test_who_waits_for_a_message_gets_it_when_it_is_in_sight(template: Template, requests: EventSource) -> None:
    queue = MessageQueue(template.queues[requests.source])
    queue.put_back(Message("a"), after=0.1)
    (message,) = queue.receive(10, within=NET)
    assert message.hidden_until <= time.time()


# ---------------------------------------------------------------- the bus and its rules


class Invocations(list[tuple[str, Any]]):
    """Functions that note what they were invoked with, and fail `failures` times first."""

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
        made.append(Automation(template, invoke, Log(tmp_path)))
        return made[-1]

    yield make
    for each in made:
        each.stop()


Make = Callable[[Template, Invocations], Automation]


def all_done(subject: Automation) -> None:
    """Returns when every function that was invoked has ended. None is invoked afterwards."""
    subject._asynchronous.shutdown()


def test_a_rule_invokes_its_function_for_what_matches_on_its_bus(automated: Make, with_viewer: Template) -> None:
    invocations = Invocations()
    subject = automated(with_viewer, invocations)
    for source, kind, bus in (
        ("atrium", "project.updated", "atrium-events"),
        ("somebody", "project.created", "atrium-events"),
        ("atrium", "project.created", "default"),
    ):
        subject.take(put(source, kind, bus=bus))
    wanted = put("atrium", "project.created", '{"project_id": "p"}')
    subject.take(wanted)
    all_done(subject)
    assert invocations == [("AddViewer", wanted.envelope)]
    assert list(wanted.envelope) == [
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    ]


def test_a_rule_that_is_disabled_does_nothing(automated: Make, template: Template) -> None:
    assert {rule.name for rule in template.rules} == {"ProjectRequested", "SweepDeletedTimer"}
    invocations = Invocations()
    subject = automated(template, invocations)
    subject.take(put("atrium", "project.created"))
    all_done(subject)
    assert invocations == []


@pytest.mark.usefixtures("quick")
def test_an_event_that_a_function_fails_on_is_tried_again_and_then_a_dead_letter(
    automated: Make, with_viewer: Template, tmp_path: Path
) -> None:
    event = put("atrium", "project.created", '{"project_id": "p"}')
    enough = Invocations(failures=2)
    for invocations in (enough, never := Invocations(failures=9)):
        assert not (tmp_path / "dead-letters.jsonl").exists()
        subject = automated(with_viewer, invocations)
        subject.take(event)
        all_done(subject)
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


def test_events_of_atrium_are_lines_of_a_file_as_they_were_put(
    automated: Make, template: Template, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    subject = automated(template, Invocations())
    subject.take(put("atrium", "project.updated", '{"project_id":"p","sequence":7,\n"n":1.10,"s":"\u2028é"}'))
    subject.take(put("somebody", "thing.happened"))
    assert (tmp_path / "events.jsonl").read_text() == '{"project_id":"p","sequence":7, "n":1.10,"s":"\u2028é"}\n'
    said = [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    assert said == ["event project.updated p 7", "event thing.happened of somebody"]


def test_put_events_is_answered_as_eventbridge_does_and_can_be_disturbed() -> None:
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
        assert len(bus.events) == 4, "taken, and its sender does not know"


def _raise(error: Exception) -> Callable[[Any], Any]:
    def hook(_: Any) -> Any:
        raise error

    return hook


# ---------------------------------------------------------------- schedules


def test_a_schedule_is_a_period_and_sends_what_eventbridge_sends(template: Template) -> None:
    (rule,) = (rule for rule in template.rules if rule.schedule)
    assert period(str(rule.schedule)) == 15 * 60
    assert [period(f"rate({each})") for each in ("1 minute", "2 hours", "1 day")] == [60, 7200, 86400]
    with pytest.raises(ValueError, match="not known"):
        period("cron(0 12 * * ? *)")
    sample = json.loads((ROOT / "events/automation/sweep_deleted.json").read_text())
    sent = scheduled_event(rule)
    assert {**sent, "id": sample["id"], "time": sample["time"]} == sample


def test_a_schedules_function_runs_on_time(automated: Make, template: Template) -> None:
    invocations = Invocations()
    subject = automated(template, invocations)
    (rule,) = (rule for rule in template.rules if rule.schedule)
    subject._start("timer", subject._keep_time, rule, 1)
    wait_for(lambda: len(invocations) >= 2)
    assert [name for name, _ in invocations[:2]] == ["SweepDeleted"] * 2
    assert [event["detail-type"] for _, event in invocations[:2]] == ["Scheduled Event"] * 2
