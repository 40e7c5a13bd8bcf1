"""Domain events: out of the table's stream, onto the event bus.

Each change of a project, or of something below it, has set `last_event` on the project's META in its own transaction.
So the stream's images of META are the outbox: one event for each commit, none without. They are published at least
once: a repeat has the same id. EventBridge does not keep order; `sequence` tells a consumer what it has seen.
"""

import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atrium import documents, keys
from atrium.documents import Raw
from atrium.ids import to_uuid
from atrium.settings import settings
from atrium.store.engine.client import bears_any_failure
from atrium.store.engine.table import Item
from atrium.store.engine.wire import plain_item

SOURCE = "atrium"

# What one PutEvents may have: entries, and bytes of all of them.
MAX_ENTRIES = 10
MAX_BYTES = 256 * 1024

# How often an event is sent before it is left to the stream to bring it again.
_ATTEMPTS = 4

# Refusals of a request for what is in it; 413 is the front end's, of one that is too large. Any other refusal is of the
# caller, who is throttled or may not: each entry by itself would be refused, too.
_FOR_WHAT_IT_HOLDS = {"ValidationException", "SerializationException", "413"}

# The same of an entry, in an answer of 200. What an entry is refused for else, a failure or a permission, may be mended
# while the stream still has it.
_OF_AN_ENTRY = {"InvalidArgument", "MalformedDetail"}


def event_in(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event in a stream record of a project's META, to be rendered with `documents`; None where there is nothing
    new, and for the sweep's pulse. Raises an exception for a record that is none of ours.
    """
    new = plain_item(record["dynamodb"]["NewImage"])
    if new["pk"] == keys.PULSE.pk:
        return None
    old = plain_item(record["dynamodb"].get("OldImage", {}))
    if old.get("sequence") == new["sequence"]:
        return None
    event: Item = new["last_event"]
    return {
        "id": to_uuid(event["id"]),
        "type": event["type"],
        "time": event["time"],
        "tenant_id": to_uuid(new["tenant"]),
        "space_id": to_uuid(new["space"]),
        "project_id": to_uuid(new["id"]),
        "sequence": new["sequence"],
        "actor": event["actor"],
        "resource": Raw(event["resource"]),
        **({"changed": event["changed"]} if "changed" in event else {}),
    }


class Unpublished(NamedTuple):
    """The places of events that were not taken: those that may be later, and those that never will be."""

    left: set[int]
    refused: set[int]


class Bus:
    """The event bus of a name."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client

    def publish(self, events: Sequence[Mapping[str, Any]], until: float) -> Unpublished:
        """Sends the events, in their order as far as each is taken at once. Returns those that were not taken, after
        some attempts or at the time `until` of the monotonic clock.
        """
        entries = [self._entry(event) for event in events]
        left = list(range(len(entries)))
        refused: set[int] = set()
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.SystemRandom().uniform(0, 0.025 * 2**attempt))
            chunks = _chunks(left, entries)
            left = [failed for places in chunks for failed in self._put(places, entries, until, refused)]
            if not left or time.monotonic() >= until:
                break
        return Unpublished(set(left), refused)

    def _put(
        self, places: list[int], entries: Sequence[Mapping[str, Any]], until: float, refused: set[int]
    ) -> list[int]:
        """The places of those that are left: PutEvents may take some of them and answer 200. Those that it will never
        take are added to `refused`. No call starts after `until`."""
        if time.monotonic() >= until:
            return places
        try:
            answer = self._client.put_events(Entries=[entries[place] for place in places])
        except ClientError as error:
            if error.response["Error"]["Code"] not in _FOR_WHAT_IT_HOLDS:
                return places
            if len(places) == 1:
                refused.update(places)
                return []
            # One entry that is refused for what it is has all of them refused.
            return [failed for place in places for failed in self._put([place], entries, until, refused)]
        except BotoCoreError:
            return places
        found = {place: result.get("ErrorCode") for place, result in zip(places, answer["Entries"], strict=True)}
        refused.update(place for place, code in found.items() if code in _OF_AN_ENTRY)
        return [place for place, code in found.items() if code and place not in refused]

    def _entry(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": event["type"],
            "Time": datetime.fromisoformat(event["time"]),
            "Detail": documents.render(event),
        }


def _chunks(places: Sequence[int], entries: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    chunks: list[list[int]] = []
    room = 0
    for place in places:
        # The service counts the text, its source and type, and 14 bytes for the time.
        size = len(entries[place]["Detail"].encode()) + len(SOURCE) + len(entries[place]["DetailType"]) + 14
        if not chunks or size > room or len(chunks[-1]) == MAX_ENTRIES:
            chunks.append([])
            room = MAX_BYTES
        chunks[-1].append(place)
        room -= size
    return chunks


@cache
def bus() -> Bus:
    """This process's bus."""
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return Bus(settings().bus_name, bears_any_failure(boto3.client("events", config=config)))
