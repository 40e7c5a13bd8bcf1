"""The laptop edition delivers a queue's messages to functions by the rules of SQS and Lambda."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local import event_sources
from local.event_sources import Message, MessageQueue, QueueSource
from local.functions import FunctionFailed
from local.template import ROOT, EventSource, Function, Queue, Template
from tests.support.clock import NET, unhurried
from tests.support.event_sources import LeftLetters


@pytest.fixture
def letters() -> LeftLetters:
    return LeftLetters()


@pytest.fixture
def requests(template: Template) -> EventSource:
    return next(source for source in template.event_sources if source.source in template.queues)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sources, "REDELIVERED_AFTER", 0.0)


def test_a_message_has_the_fields_of_sqs_and_is_gone_once_processed(
    template: Template, requests: EventSource, letters: LeftLetters
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
def test_only_the_reported_message_comes_again_until_it_becomes_a_dead_letter(
    template: Template, requests: EventSource, letters: LeftLetters
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
def test_a_failed_batch_or_a_malformed_report_returns_the_whole_batch(
    template: Template, requests: EventSource, letters: LeftLetters
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


def test_a_failed_message_is_hidden_for_its_visibility_timeout(
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


def test_a_waiting_receiver_gets_a_message_once_it_is_visible(template: Template, requests: EventSource) -> None:
    queue = MessageQueue(template.queues[requests.source])
    queue.send("a", delay=0.1)
    (message,) = queue.receive(10, within=NET)
    assert time.time() >= message.sent + 0.1


def test_a_delayed_message_is_hidden_until_its_delay_is_over(
    template: Template, requests: EventSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = unhurried()
    monkeypatch.setattr(event_sources, "time", clock)
    queue = MessageQueue(template.queues[requests.source])
    queue.send("later", delay=900)
    queue.send("now")
    assert bodies(queue.receive(10, within=0)) == ["now"]
    clock.sleep(899)
    assert queue.receive(10, within=0) == []
    clock.sleep(1)
    assert bodies(queue.receive(10, within=0)) == ["later"]


def test_a_message_that_fails_again_and_again_delays_no_other(template: Template, requests: EventSource) -> None:
    queue = MessageQueue(template.queues[requests.source])
    queue.send("poison")
    queue.send("a")
    (message,) = queue.receive(1, within=0)
    queue.put_back(message, after=0)
    assert bodies(queue.receive(10, within=0)) == ["a", "poison"]


# ---------------------------------------------------------------- FIFO queues


LINE = Queue("arn:aws:sqs:us-east-1:000000000000:Line.fifo", fifo=True)


def bodies(messages: list[Message]) -> list[str]:
    return [message.body for message in messages]


def lined_up(*texts: str, settings: Queue = LINE) -> MessageQueue:
    """A FIFO queue with these messages; the first character of each is its group."""
    queue = MessageQueue(settings)
    for text in texts:
        queue.send(text, group=text[0], once=text)
    return queue


def test_a_message_of_a_fifo_queue_has_the_fields_of_sqs(requests: EventSource, letters: LeftLetters) -> None:
    queue = lined_up("a1", "b1")
    seen: list[Any] = []
    settings = replace(requests, source=LINE.arn, batch_size=10)
    QueueSource(settings, queue, lambda _, event: seen.append(event), letters.leave).deliver(within=0)
    first, second = seen[0]["Records"]
    assert first["eventSourceARN"] == LINE.arn
    assert {name: first["attributes"][name] for name in ("MessageGroupId", "MessageDeduplicationId")} == {
        "MessageGroupId": "a",
        "MessageDeduplicationId": "a1",
    }
    numbers = [each["attributes"]["SequenceNumber"] for each in (first, second)]
    assert numbers == sorted(numbers)
    assert [len(number) for number in numbers] == [20, 20]


def test_a_group_gives_no_message_while_one_is_in_flight() -> None:
    queue = lined_up("a1", "a2", "b1", "b2")
    (a1,) = queue.receive(1, within=0)
    (b1,) = queue.receive(1, within=0)
    assert bodies([a1, b1]) == ["a1", "b1"]
    assert queue.receive(10, within=0) == []
    queue.delete(b1)
    assert bodies(queue.receive(10, within=0)) == ["b2"]
    queue.delete(a1)
    assert bodies(queue.receive(10, within=0)) == ["a2"]


def test_a_batch_may_have_several_messages_of_a_group_in_their_order() -> None:
    queue = lined_up("a1", "b1", "a2", "a3")
    a1, b1, a2 = queue.receive(3, within=0)
    assert bodies([a1, b1, a2]) == ["a1", "b1", "a2"]
    queue.delete(a1)
    queue.delete(b1)
    assert queue.receive(10, within=0) == [], "a2 is in flight"


def test_a_failed_message_blocks_its_group_until_it_is_visible_and_comes_before_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = unhurried()
    monkeypatch.setattr(event_sources, "time", clock)
    queue = lined_up("a1", "a2", "b1")
    (a1,) = queue.receive(1, within=0)
    queue.put_back(a1, after=30)
    assert bodies(queue.receive(10, within=0)) == ["b1"]
    clock.sleep(29)
    assert queue.receive(10, within=0) == []
    clock.sleep(1)
    again = queue.receive(10, within=0)
    assert [(each.body, each.receives) for each in again] == [("a1", 2), ("a2", 1)]


def test_a_group_that_fails_again_and_again_delays_no_other_group() -> None:
    queue = lined_up("a1", "a2", "b1")
    (a1,) = queue.receive(1, within=0)
    queue.put_back(a1, after=0)
    assert bodies(queue.receive(1, within=0)) == ["b1"]
    assert bodies(queue.receive(10, within=0)) == ["a1", "a2"]


@pytest.mark.usefixtures("at_once")
def test_a_group_goes_on_after_a_dead_letter_and_after_a_success(requests: EventSource, letters: LeftLetters) -> None:
    queue = lined_up("a1", "a2", "a3", settings=replace(LINE, redrive_to="arn:aws:sqs:::Dead.fifo", max_receives=2))
    seen: list[str] = []

    def invoke(function: Function, event: Mapping[str, Any]) -> Any:
        seen.extend(each["body"] for each in event["Records"])
        if seen[-1] == "a1":
            raise FunctionFailed("KeyError", "broken")

    source = QueueSource(replace(requests, batch_size=1), queue, invoke, letters.leave)
    for _ in range(5):
        source.deliver(within=0)
    assert seen == ["a1", "a1", "a2", "a3"]
    assert [(arn, letter["body"]) for arn, letter in letters] == [("arn:aws:sqs:::Dead.fifo", "a1")]


def test_a_deduplication_id_is_accepted_once_in_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = unhurried()
    monkeypatch.setattr(event_sources, "time", clock)
    queue = MessageQueue(LINE)
    first = queue.send("first", group="a", once="x")
    (received,) = queue.receive(10, within=0)
    queue.delete(received)
    clock.sleep(299)
    assert queue.send("again", group="b", once="x") is first, "processed, and of another group"
    assert bodies([queue.send("other", group="a", once="y")]) == ["other"]
    clock.sleep(1)
    queue.send("anew", group="a", once="x")
    assert bodies(queue.receive(10, within=0)) == ["other", "anew"]


def test_a_deduplication_id_is_accepted_once_in_each_group_where_that_is_its_scope() -> None:
    queue = MessageQueue(replace(LINE, once_by_group=True))
    for group in "aab":
        queue.send(group, group=group, once="x")
    assert bodies(queue.receive(10, within=0)) == ["a", "b"]
