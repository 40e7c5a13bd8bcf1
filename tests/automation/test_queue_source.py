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
from local.template import ROOT, EventSource, Function, Template
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
    queue.put_back(Message("a"), after=0.1)
    (message,) = queue.receive(10, within=NET)
    assert message.hidden_until <= time.time()
