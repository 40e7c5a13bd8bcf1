"""Lambda's event source mappings between a stream or a queue and a function: filters, batches, retries and dead
letters. The module knows no engine: it takes records, and makes invocations and dead letters.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from math import inf
from typing import Any
from uuid import uuid4

from moto.events.models import EventPattern

from local import template
from local.functions import Invoker
from local.journal import Journal
from local.template import REGION, EventSource

Record = dict[str, Any]

# Leaves a dead letter in the queue with this ARN.
DeadLetter = Callable[[str, Mapping[str, Any]], None]

# Seconds before the first retry, and at most before later ones. Lambda waits up to a minute; on a laptop most failures
# are defects of code that is being written.
FIRST_RETRY, LATER_RETRIES = 0.1, 1.0

# Seconds until an unprocessed message is delivered again. In AWS the queue's VisibilityTimeout applies, which is too
# long to wait for on a laptop.
REDELIVERED_AFTER = 1.0

# Seconds for which SQS accepts the same deduplication id again without a second message.
ONCE_WITHIN = 300.0


class StreamSource:
    """Delivers the records of a stream to a function. `pause` waits so many seconds before a retry."""

    def __init__(
        self,
        settings: EventSource,
        invoke: Invoker,
        dead_letter: DeadLetter,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._settings = settings
        self._invoke = invoke
        self._dead_letter = dead_letter
        self._pause = pause
        self._filters = [EventPattern.load(pattern) for pattern in settings.filters]

    def deliver(self, shard: str, records: Sequence[Record]) -> Iterator[str]:
        """Yields repeatedly the sequence number up to which every record is done: processed, filtered out, or made a
        dead letter. Records have Lambda's form and the order of their shard.
        """
        wanted = [record for record in records if self._wants(record)]
        for start in range(0, len(wanted), self._settings.batch_size):
            yield from self._work_off(shard, wanted[start : start + self._settings.batch_size])
        if records:
            yield _position(records[-1])

    def _wants(self, record: Record) -> bool:
        return not self._filters or any(pattern.matches_event(record) for pattern in self._filters)

    def _work_off(self, shard: str, batch: Sequence[Record]) -> Iterator[str]:
        """Processes a batch. Only failures of the same batch count as retries: as in Lambda, the count starts again
        when a part of the batch has succeeded or was split off.
        """
        failures = 0
        while batch := self._young(shard, batch, failures):
            done = self._processed(batch)
            if done:
                yield _position(batch[done - 1])
                batch = batch[done:]
                failures = 0
            elif self._settings.bisects and len(batch) > 1:
                middle = len(batch) // 2
                self._pause(FIRST_RETRY)
                yield from self._work_off(shard, batch[:middle])
                batch = batch[middle:]
            else:
                failures += 1
                if self._settings.retries is not None and failures > self._settings.retries:
                    self._give_up(shard, batch, "RetryAttemptsExhausted", failures)
                    yield _position(batch[-1])
                    return
                self._pause(min(FIRST_RETRY * 2 ** (failures - 1), LATER_RETRIES))

    def _processed(self, batch: Sequence[Record]) -> int:
        """Invokes the function; returns how many records, from the beginning of the batch, it processed."""
        positions = [_position(record) for record in batch]
        failed = _failed(self._settings, self._invoke, batch, positions)
        return next((place for place, position in enumerate(positions) if position in failed), len(batch))

    def _young(self, shard: str, batch: Sequence[Record], failures: int) -> Sequence[Record]:
        """The batch without records that have become too old."""
        if self._settings.max_age is None:
            return batch
        oldest = time.time() - self._settings.max_age
        old = sum(record["dynamodb"]["ApproximateCreationDateTime"] < oldest for record in batch)
        if old:
            self._give_up(shard, batch[:old], "RecordAgeExceeded", failures)
        return batch[old:]

    def _give_up(self, shard: str, batch: Sequence[Record], condition: str, invocations: int) -> None:
        """Leaves a dead letter that, as Lambda's do, has the records' place in the stream and not the records."""
        created = [record["dynamodb"]["ApproximateCreationDateTime"] for record in (batch[0], batch[-1])]
        letter = {
            **failure(self._settings.function.name, condition, invocations),
            "DDBStreamBatchInfo": {
                "shardId": shard,
                "startSequenceNumber": _position(batch[0]),
                "endSequenceNumber": _position(batch[-1]),
                "approximateArrivalOfFirstRecord": moment(created[0]),
                "approximateArrivalOfLastRecord": moment(created[1]),
                "batchSize": len(batch),
                "streamArn": self._settings.source,
            },
        }
        if self._settings.on_failure:
            self._dead_letter(self._settings.on_failure, letter)


@dataclass(eq=False)
class Message:
    """A message in a queue; times in seconds since 1970. `group` and `once` are its MessageGroupId and
    MessageDeduplicationId, which the messages of a FIFO queue have.
    """

    body: str
    group: str | None = None
    once: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    sent: float = field(default_factory=time.time)
    receives: int = 0
    first_received: float = 0.0
    hidden_until: float = 0.0
    sequence: int = 0

    @property
    def told(self) -> dict[str, Any]:
        """The fields that outlive the instance."""
        return {name: getattr(self, name) for name in ("id", "body", "group", "once", "sent", "hidden_until")}

    @property
    def md5(self) -> str:
        return md5(self.body.encode(), usedforsecurity=False).hexdigest()

    @property
    def sequence_number(self) -> str:
        """The message's place in its FIFO queue, in SQS's form."""
        return f"{self.sequence:020}"

    def record(self, queue: template.Queue) -> Record:
        """The message as in the event that Lambda makes for a function."""
        attributes = {
            "ApproximateReceiveCount": str(self.receives),
            "SentTimestamp": str(int(self.sent * 1000)),
            "SenderId": "local",
            "ApproximateFirstReceiveTimestamp": str(int(self.first_received * 1000)),
        }
        if self.group is not None:
            attributes["MessageGroupId"] = self.group
        if queue.fifo:
            attributes |= {"MessageDeduplicationId": self.once or "", "SequenceNumber": self.sequence_number}
        return {
            "messageId": self.id,
            "receiptHandle": f"{self.id}-{self.receives}",
            "body": self.body,
            "attributes": attributes,
            "messageAttributes": {},
            "md5OfBody": self.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn,
            "awsRegion": REGION,
        }


class MessageQueue:
    """A queue in memory. With a journal the next instance has its messages, too; their delays start at the old moment,
    the numbers of their receptions anew.

    A received message is hidden until it is deleted or put back. In a FIFO queue a hidden message hides all messages of
    its group, so they are received in the order in which they were sent.
    """

    def __init__(self, settings: template.Queue, journal: Journal | None = None) -> None:
        self.settings = settings
        self._journal = journal
        # Received ones, too. Those of a group are in the order in which they were sent.
        self._messages: list[Message] = []
        self._sequence = 0
        # The messages that were accepted lately, the oldest first, by what may be accepted once: a deduplication id,
        # with the group where that is its scope.
        self._accepted: dict[tuple[str | None, str], Message] = {}
        self._changed = threading.Condition()
        for told in journal.waiting if journal else ():
            self._add(Message(**told))

    def _add(self, message: Message) -> None:
        self._sequence += 1
        message.sequence = self._sequence
        self._messages.append(message)

    def send(self, body: str, delay: float = 0.0, group: str | None = None, once: str | None = None) -> Message:
        """Accepts a message, which is visible after `delay` seconds. Returns the earlier one if that had the same
        deduplication id and was sent in the last ONCE_WITHIN seconds: then the queue does not change.
        """
        with self._changed:
            now = time.time()
            message = Message(body, group, once, sent=now, hidden_until=now + delay)
            if once is not None:
                while self._accepted and next(iter(self._accepted.values())).sent <= now - ONCE_WITHIN:
                    del self._accepted[next(iter(self._accepted))]
                accepted = self._accepted.setdefault((group if self.settings.once_by_group else None, once), message)
                if accepted is not message:
                    return accepted
            self._add(message)
            if self._journal:
                self._journal.sent(message.told)
            self._changed.notify_all()
        return message

    def receive(self, most: int, within: float) -> list[Message]:
        """Waits at most `within` seconds for a message; returns up to `most`, or none, and hides them."""
        deadline = time.time() + within
        with self._changed:
            while not (ready := self._visible(now := time.time())[:most]) and now < deadline:
                due = min(
                    (message.hidden_until for message in self._messages if message.hidden_until > now), default=deadline
                )
                self._changed.wait(min(due, deadline) - now)
            for message in ready:
                message.hidden_until = inf
                message.receives += 1
                message.first_received = message.first_received or now
        return ready

    def _visible(self, now: float) -> list[Message]:
        hidden = [message for message in self._messages if message.hidden_until > now]
        groups = {message.group for message in hidden} if self.settings.fifo else set()
        return [message for message in self._messages if message.hidden_until <= now and message.group not in groups]

    def put_back(self, message: Message, after: float) -> None:
        """Makes a received message visible again after so many seconds. It goes behind the other messages, in a FIFO
        queue with its whole group, so that messages which fail again and again delay no others.
        """
        with self._changed:
            message.hidden_until = time.time() + after
            self._messages.sort(
                key=lambda each: each is message or (self.settings.fifo and each.group == message.group)
            )
            self._changed.notify_all()

    def delete(self, message: Message) -> None:
        with self._changed:
            self._messages = [each for each in self._messages if each is not message]
            if self._journal:
                self._journal.done(message.id, last=not self._messages)
            self._changed.notify_all()


class QueueSource:
    """Delivers the messages of a queue to a function. Several threads may do so at the same time."""

    def __init__(self, settings: EventSource, queue: MessageQueue, invoke: Invoker, dead_letter: DeadLetter) -> None:
        self._settings = settings
        self._queue = queue
        self._invoke = invoke
        self._dead_letter = dead_letter

    def deliver(self, within: float) -> None:
        """Waits at most `within` seconds for a batch, and invokes the function. Unprocessed messages are delivered
        again, or moved by the queue's redrive policy.
        """
        messages = self._queue.receive(self._settings.batch_size, within)
        if not messages:
            return
        records = [message.record(self._queue.settings) for message in messages]
        failed = _failed(self._settings, self._invoke, records, [message.id for message in messages])
        for message in messages:
            if message.id in failed:
                self._redeliver(message)
            else:
                self._queue.delete(message)

    def _redeliver(self, message: Message) -> None:
        policy = self._queue.settings
        if policy.redrive_to and policy.max_receives and message.receives >= policy.max_receives:
            self._dead_letter(policy.redrive_to, {"messageId": message.id, "body": message.body})
            self._queue.delete(message)
        else:
            self._queue.put_back(message, REDELIVERED_AFTER)


def failure(function: str, condition: str, invocations: int) -> dict[str, Any]:
    """The fields that all of Lambda's records of failed invocations have."""
    return {
        "version": "1.0",
        "timestamp": moment(time.time()),
        "requestContext": {
            "requestId": str(uuid4()),
            "functionArn": template.function_arn(function),
            "condition": condition,
            "approximateInvokeCount": invocations,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


def moment(seconds: float) -> str:
    """A time since 1970, as ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failed(settings: EventSource, invoke: Invoker, records: Sequence[Record], ids: Sequence[str]) -> set[str]:
    """Invokes the function on a batch; returns the ids that it did not process. These are all ids if the function
    failed, or named an id that is not in the batch.
    """
    try:
        answer = invoke(settings.function, {"Records": records})
        if not settings.reports_failures or not answer:
            return set()
        failed = {each["itemIdentifier"] for each in answer.get("batchItemFailures") or []}
    except Exception:  # the function failed, or its answer has a form that Lambda does not accept
        return set(ids)
    return set(ids) if failed - set(ids) else failed


def _position(record: Record) -> str:
    position: str = record["dynamodb"]["SequenceNumber"]
    return position
