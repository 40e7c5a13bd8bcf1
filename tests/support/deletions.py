"""Deletions of spaces and principals: their rows of the purge queue, their purges, and what is told of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item
from atrium.store.purge import queued
from local.functions import call
from local.template import Template
from tests.support import clock
from tests.support.client import World, flat_id
from tests.support.direct import direct

DONE: dict[str, Any] = {"batchItemFailures": []}


@contextmanager
def unhurried() -> Iterator[clock.Clock]:
    """In here a wait of the functions takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        made = clock.unhurried()
        clock.install(made, patch.setattr)
        yield made


def records() -> list[dict[str, Any]]:
    """The records that the stream brings of all rows of the purge queue."""
    rows = sorted(queued(table()), key=lambda row: str(row["sk"]))
    return [
        {"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": str(100 + place)}} for place, row in enumerate(rows)
    ]


def purge_all(template: Template) -> float:
    """Purges all that is deleted, until the queue is empty. Returns how many seconds were waited."""
    with unhurried() as passing:
        while found := records():
            assert call(template.functions["PurgeDeleted"], {"Records": found}) == DONE
    return passing.waited


def told(world: World, *types: str) -> list[Any]:
    """The events of these types, in the order of their ids."""
    page = "/v1/events?" + "&".join(f"type={type}" for type in types) + "&limit=100"
    found, cursor = [], ""
    while True:
        answer = world("GET", page + cursor).body
        found += answer["data"]
        if not answer["meta"]["has_more"]:
            return sorted(found, key=lambda event: str(event["id"]))
        cursor = f"&cursor={answer['meta']['next_cursor']}"


def in_short(event: Any) -> tuple[str, str, str, str]:
    """The subject of an event, who made the change, and in which request."""
    about = event["resource"].get("principal_id") or event["resource"]["id"]
    return event["type"], about, event["actor"]["principal_id"], event["request_id"]


def rows_about(uuid: str) -> list[str]:
    """The keys that have an id in them, but for those of the ledger."""
    return sorted(f"{key.pk} {key.sk}" for key in direct().items() if flat_id(uuid) in key.pk + key.sk)
