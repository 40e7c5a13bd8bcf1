"""The laptop edition delivers the table's stream to functions by Lambda's rules."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local import event_sources
from local.event_sources import StreamSource
from local.functions import FunctionFailed, FunctionTimedOut
from local.template import EventSource, Function, Template
from tests.support.event_sources import LeftLetters

SHARD = "shardId-1"


def record(number: int, created: float | None = None, name: str = "INSERT") -> dict[str, Any]:
    change = {
        "ApproximateCreationDateTime": created or time.time(),
        "Keys": {"pk": {"S": f"PURGE#{number % 8}"}, "sk": {"S": "META"}},
        "NewImage": {"sequence": {"N": f"{number}"}},
        "SequenceNumber": f"{number:021}",
    }
    return {"eventName": name, "dynamodb": change}


def numbers(batch: Mapping[str, Any]) -> list[int]:
    return [int(each["dynamodb"]["SequenceNumber"]) for each in batch["Records"]]


class Consumer:
    """A function that records its batches, and reports the numbers in `bad`, or raises for a batch with one of them."""

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
        """The numbers that were in a batch and not reported."""
        if self.raises:
            return {number for batch in self.batches if not self.bad & set(batch) for number in batch}
        return {number for batch in self.batches for number in batch} - self.bad


@pytest.fixture
def letters() -> LeftLetters:
    return LeftLetters()


@pytest.fixture
def publishing(template: Template) -> EventSource:
    return next(source for source in template.event_sources if source.name == "PublishEventsChanges")


def deliver(settings: EventSource, invoke: Any, letters: LeftLetters, records: list[dict[str, Any]]) -> list[int]:
    """Delivers without pauses between retries, and returns the checkpoints in order."""
    source = StreamSource(settings, invoke, letters.leave, pause=lambda _: None)
    return [int(position) for position in source.deliver(SHARD, records)]


def test_the_settings_come_from_the_template(publishing: EventSource, template: Template) -> None:
    assert publishing.function == template.functions["PublishEvents"]
    assert (publishing.batch_size, publishing.reports_failures, publishing.bisects) == (100, True, True)
    assert (publishing.retries, publishing.max_age, publishing.starting_position) == (None, 43200, "TRIM_HORIZON")
    assert publishing.on_failure in template.queues
    assert {source.function.name: source.batch_size for source in template.event_sources} == {
        "PublishEvents": 100,
        "PurgeDeleted": 10,
        "CreateProjectFromEvent": 1,
        "FanOutEvents": 10,
        "DeliverEvents": 1,
    }


def test_batches_have_at_most_the_configured_size_and_run_in_order(
    publishing: EventSource, letters: LeftLetters
) -> None:
    consumer = Consumer()
    done = deliver(replace(publishing, batch_size=3), consumer, letters, [record(n) for n in range(1, 8)])
    assert consumer.batches == [[1, 2, 3], [4, 5, 6], [7]]
    assert done == [3, 6, 7, 7]
    assert letters == []


def test_records_outside_the_filters_are_skipped_without_an_invocation(
    template: Template, letters: LeftLetters
) -> None:
    sources = {source.function.name: source for source in template.event_sources}
    publishing, purging = sources["PublishEvents"], sources["PurgeDeleted"]
    other = record(3)
    other["dynamodb"]["Keys"] = {"pk": {"S": "T#1#P#2"}, "sk": {"S": "ROLE#3"}}
    bare = record(4)
    bare["dynamodb"]["NewImage"] = {"name": {"S": "the META row of a space, without an event"}}
    records = [record(1), record(2, name="MODIFY"), other, bare, record(5, name="REMOVE")]
    for settings, wanted in ((publishing, [1, 2]), (purging, [1, 4])):
        consumer = Consumer()
        assert deliver(settings, consumer, letters, records)[-1] == 5
        assert consumer.batches == [wanted], settings.name
    consumer = Consumer()
    assert deliver(purging, consumer, letters, [other]) == [3]
    assert consumer.batches == [], "an empty batch is not delivered"


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("poison", [1, 2, 4, 7, 8])
def test_a_poison_record_becomes_a_dead_letter_and_the_rest_of_its_batch_is_processed(
    publishing: EventSource, letters: LeftLetters, poison: int, raises: bool
) -> None:
    consumer = Consumer(poison, raises=raises)
    done = deliver(replace(publishing, retries=10), consumer, letters, [record(n) for n in range(1, 9)])
    assert consumer.processed == set(range(1, 9)) - {poison}
    assert letters.ranges == [(poison, poison)]
    assert consumer.batches.count([poison]) == 1 + 10, "one attempt, and MaximumRetryAttempts"
    assert done[-1] == 8
    assert done == sorted(done), "a checkpoint never goes back"


def test_a_dead_letter_has_the_fields_of_lambdas(publishing: EventSource, letters: LeftLetters) -> None:
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


def test_records_from_the_lowest_reported_one_come_again(publishing: EventSource, letters: LeftLetters) -> None:
    """The order of a report, and its other records, make no difference."""
    batches: list[list[int]] = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        batches.append(numbers(event))
        failed = [f"{n:021}" for n in (5, 3)] if len(batches) == 1 else []
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

    done = deliver(publishing, invoke, letters, [record(n) for n in range(1, 7)])
    assert batches == [[1, 2, 3, 4, 5, 6], [3, 4, 5, 6]]
    assert done == [2, 6, 6]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_report_is_success(publishing: EventSource, letters: LeftLetters, answer: Any) -> None:
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
def test_a_malformed_report_fails_the_whole_batch(publishing: EventSource, letters: LeftLetters, answer: Any) -> None:
    batches = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        batches.append(numbers(event))
        return answer if len(batches) == 1 else None

    deliver(replace(publishing, bisects=False), invoke, letters, [record(1), record(2)])
    assert batches == [[1, 2], [1, 2]]


def test_without_reports_the_answer_is_ignored(publishing: EventSource, letters: LeftLetters) -> None:
    consumer = Consumer(1)
    deliver(replace(publishing, reports_failures=False), consumer, letters, [record(1)])
    assert (consumer.batches, letters) == ([[1]], [])


def test_a_timeout_fails_the_batch(publishing: EventSource, letters: LeftLetters) -> None:
    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        raise FunctionTimedOut(function.name)

    assert deliver(replace(publishing, retries=0), invoke, letters, [record(1), record(2)])[-1] == 2
    assert letters.ranges == [(1, 1), (2, 2)]


def test_without_bisecting_the_whole_batch_becomes_a_dead_letter(publishing: EventSource, letters: LeftLetters) -> None:
    consumer = Consumer(2, raises=True)
    deliver(replace(publishing, bisects=False, retries=2), consumer, letters, [record(1), record(2)])
    assert consumer.batches == [[1, 2]] * 3
    assert letters.ranges == [(1, 2)]


def test_an_expired_record_is_a_dead_letter_without_an_invocation(
    publishing: EventSource, letters: LeftLetters
) -> None:
    long_ago = time.time() - 43200 - 5
    consumer = Consumer()
    done = deliver(publishing, consumer, letters, [record(1, long_ago), record(2, long_ago), record(3)])
    assert (consumer.batches, done[-1]) == ([[3]], 3)
    assert letters.ranges == [(1, 2)]
    assert letters[0][1]["requestContext"]["condition"] == "RecordAgeExceeded"
    deliver(replace(publishing, max_age=None), consumer, letters, [record(4, long_ago)])
    assert consumer.batches[-1] == [4]


def test_pauses_between_retries_double_up_to_one_second(publishing: EventSource, letters: LeftLetters) -> None:
    waits: list[float] = []
    source = StreamSource(replace(publishing, retries=10), Consumer(1), letters.leave, pause=waits.append)
    list(source.deliver(SHARD, [record(1)]))
    assert waits == [0.1, 0.2, 0.4, 0.8, *[1.0] * 6]
