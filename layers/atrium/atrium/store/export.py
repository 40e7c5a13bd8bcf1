"""Days of a tenant's events as objects of a bucket, a line of JSON for each event.

What an object holds follows from the ledger alone: of each day the first so many events are the first part, the next
ones the second. So a run that is repeated writes the same objects again, and a day that was not over gets longer.
"""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atrium import documents
from atrium.ids import milliseconds_of, to_uuid
from atrium.settings import settings
from atrium.store.engine.client import bears_any_failure
from atrium.store.engine.table import Item, Table
from atrium.store.history import first_of, rows, settled
from atrium.store.rows import to_event
from atrium.telemetry import say

# Events of one object: mostly one or two megabytes, and 33 at most. One request takes that; parts of an upload in
# several requests would be a second state to go on from.
PART = 2_000

_DAY = timedelta(days=1)


class NotStored(Exception):
    """The bucket did not take an object."""


class Place(NamedTuple):
    """Up to where events are exported: the id up to which the ledger was read, and how many parts there are of the day
    behind it."""

    id: str
    parts: int


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def first_whole_day() -> date | None:
    """The first day of which the ledger has every event; None where it keeps them for ever."""
    days = settings().event_days
    return (datetime.now(UTC) - timedelta(days=days) + _DAY).date() if days else None


class Export:
    """One run over the days of a tenant from `since` on, before `until`. `keys` are the objects that it wrote."""

    def __init__(self, table: Table, tenant: str, since: date, until: date) -> None:
        self._table = table
        self._tenant = tenant
        self._since = since
        self._until = until
        self.keys: list[str] = []
        self.events = 0

    def run(self, after: Place | None, stop: Callable[[], bool]) -> Place | None:
        """Goes on behind a place, up to what is settled. Returns the place behind which the next run goes on; None if
        this one reached the end. Raises Unavailable and NotStored."""
        number = int(after.id, 16) + 1 if after else first_of(midnight(self._since))
        parts = after.parts if after else 0
        end = min(first_of(midnight(self._until)), settled())
        while number < end:
            day = _day_of(number)
            last = min(first_of(midnight(day + _DAY)), end) - 1
            found = rows(self._table, self._tenant, number, last)
            while part := list(islice(found, PART)):
                self._put(day, parts, part)
                parts += 1
                if stop():
                    return Place(part[-1]["sk"], parts)
            number, parts = last + 1, 0
            if stop() and number < end:
                return Place(f"{last:024x}", 0)
        return None

    def _put(self, day: date, part: int, found: list[Item]) -> None:
        key = f"{settings().stack_name}/events/{to_uuid(self._tenant)}/{day}/{part:05}.ndjson"
        body = "".join(f"{documents.render(to_event(self._tenant, row).detail())}\n" for row in found).encode()
        try:
            _bucket().put_object(
                Bucket=os.environ["EXPORT_BUCKET"], Key=key, Body=body, ContentType="application/x-ndjson"
            )
        except ClientError as error:
            raise NotStored(f"The bucket said {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise NotStored(f"The bucket did not answer: {type(error).__name__}") from error
        self.keys.append(key)
        self.events += len(found)
        say("Exported", tenant=self._tenant, key=key, events=len(found), bytes=len(body))


def _day_of(number: int) -> date:
    return datetime.fromtimestamp(milliseconds_of(f"{number:024x}") / 1000, UTC).date()


@cache
def _bucket() -> Any:
    # Putting an object again is the same object.
    config = Config(connect_timeout=2, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
    return bears_any_failure(boto3.client("s3", config=config))
