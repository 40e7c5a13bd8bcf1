"""The two queues behind webhooks: of events that are to be fanned out, and of deliveries that are to be attempted.

The queue of deliveries is a FIFO queue. Its groups are the lanes of a webhook, of which a message each is under way at
most: so a webhook gets no more attempts at a time than it has lanes, and one that hangs holds up no other.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atrium import keys
from atrium.errors import Unavailable
from atrium.settings import settings
from atrium.store.engine.client import bears_any_failure
from atrium.store.engine.table import Item

# How many attempts of a webhook may be under way at a time.
LANES = 4

# The most messages of one call, and seconds by which SQS delays one at most.
_AT_ONCE = 10
MAX_DELAY = 900.0


class Due(NamedTuple):
    """A message of the queue of deliveries: an attempt of a delivery by its number; or without an event, a webhook that
    is due as a whole since the moment `at`. `at` is that of the row of what is due, None where there is none."""

    tenant: str
    webhook: str
    event: str | None = None
    attempt: int = 0
    at: str | None = None

    @property
    def text(self) -> str:
        return json.dumps({name: value for name, value in self._asdict().items() if value is not None})

    @property
    def lane(self) -> str:
        """The group that the message belongs to. A webhook as a whole has the first lane."""
        lane = crc32(self.event.encode()) % LANES if self.event else 0
        return f"{self.webhook}-{lane}"

    @property
    def once(self) -> str:
        """By which SQS knows the same message in five minutes."""
        place = f"{self.event}-{self.attempt}" if self.event else str(self.at).replace(":", "-")
        return f"{self.webhook}-{place}"

    @classmethod
    def of_row(cls, row: Item) -> "Due":
        """By a row of what is due."""
        tenant, webhook, event = keys.due_of(row["sk"])
        return cls(tenant, webhook, event, row.get("attempt", 0), row["sk"].partition("#")[0])

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Due":
        return cls(**{name: message[name] for name in cls._fields if name in message})


class WebhookQueues:
    """The two queues, by their URLs. Each method raises Unavailable."""

    def __init__(self, events: str, deliveries: str, client: Any) -> None:
        self._events = events
        self._deliveries = deliveries
        self._client = client

    def send(self, messages: Sequence[Due]) -> None:
        """To be attempted at once."""
        for first in range(0, len(messages), _AT_ONCE):
            entries = [
                {
                    "Id": str(place),
                    "MessageBody": each.text,
                    "MessageGroupId": each.lane,
                    "MessageDeduplicationId": each.once,
                }
                for place, each in enumerate(messages[first : first + _AT_ONCE])
            ]
            answer = self._ask("send_message_batch", QueueUrl=self._deliveries, Entries=entries)
            if answer.get("Failed"):
                raise Unavailable

    def send_later(self, message: Due, seconds: float) -> None:
        """To be attempted after so many seconds, by way of the fan-out: a FIFO queue delays no single message."""
        self._ask(
            "send_message",
            QueueUrl=self._events,
            MessageBody=json.dumps({"due": json.loads(message.text)}),
            DelaySeconds=int(min(max(seconds, 0), MAX_DELAY)),
        )

    def recover(self, tenant: str, webhook: str, recovery: str) -> None:
        """Has the fan-out go on with a recovery."""
        told = {"tenant": tenant, "webhook": webhook, "recovery": recovery}
        self._ask("send_message", QueueUrl=self._events, MessageBody=json.dumps({"recover": told}))

    def _ask(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error
        return answer


@cache
def webhook_queues() -> WebhookQueues:
    """This stack's."""
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2})
    client = bears_any_failure(boto3.client("sqs", config=config))
    return WebhookQueues(settings().webhook_events, settings().webhook_deliveries, client)
