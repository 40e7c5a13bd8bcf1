"""Domain events: onto the event bus.

They are published at least once: a repeat has the same id. EventBridge does not keep order; `sequence` tells a consumer
what it has seen.
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

from atrium import documents
from atrium.settings import settings
from atrium.store.engine.client import bears_any_failure

SOURCE = "atrium"

# The most entries of one PutEvents. It may have 256 KB, and an event has at most 16.
MAX_ENTRIES = 10

# How often an event is sent before it is left to the stream to bring it again.
_ATTEMPTS = 4

# Refusals of a request for what is in it; 413 is the front end's, of one that is too large. Any other refusal is of the
# caller, who is throttled or may not: each entry by itself would be refused, too.
_FOR_WHAT_IT_HOLDS = {"ValidationException", "SerializationException", "413"}

# The same of an entry, in an answer of 200. What an entry is refused for else, a failure or a permission, may be mended
# while the stream still has it.
_OF_AN_ENTRY = {"InvalidArgument", "MalformedDetail"}


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
            chunks = [left[first : first + MAX_ENTRIES] for first in range(0, len(left), MAX_ENTRIES)]
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


@cache
def bus() -> Bus:
    """This process's bus."""
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return Bus(settings().bus_name, bears_any_failure(boto3.client("events", config=config)))
