"""The list of events, as a client reads it, and the ledger behind it."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from atrium import keys
from atrium.ids import new_ids
from atrium.models import timestamp
from atrium.store.engine import work
from atrium.store.engine.table import Item
from tests.support.client import Answer, World, flat_id
from tests.support.rows import rows_here


class Now:
    """The moment that it is for the API: it stands still, and begins at a full second an hour ahead of the fixtures."""

    def __init__(self) -> None:
        self.moment = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)

    def passes(self, **time: float) -> None:
        self.moment += timedelta(**time)

    def ago(self, **time: float) -> str:
        return timestamp(self.moment - timedelta(**time))

    @property
    def milliseconds(self) -> int:
        return round(self.moment.timestamp() * 1000)


def standing(patch: pytest.MonkeyPatch) -> Now:
    """Makes it that moment for the API."""
    made = Now()
    patch.setattr(work, "datetime", SimpleNamespace(now=lambda _: made.moment))
    return made


def tenant_of(world: World, name: str = "acme") -> str:
    return flat_id(world.dev["tenants"][name]["tenant_id"])


def events(world: World, by: str = "owner", tenant: str = "acme", **query: Any) -> Answer:
    return world("GET", f"/v1/events?{urlencode(query, doseq=True)}", by=by, tenant=tenant)


def pages(world: World, most: int = 1_000, **query: Any) -> Iterator[Any]:
    """Every page of a list."""
    for _ in range(most):
        page = events(world, **query)
        assert page.status == 200, page
        yield page.body
        if not page.body["meta"]["has_more"]:
            return
        query["cursor"] = page.body["meta"]["next_cursor"]
    pytest.fail("The list does not end.")


def done(world: World, *request: Any, by: str = "owner", key: str | None = None) -> Answer:
    """The answer of a request that is sent again, with its key, as long as none or a late one comes."""
    while (answer := world(*request, by=by, key=key)).status >= 300:
        assert answer.status in (502, 503), answer
    return answer


class Poller:
    """Reads a list from a moment on, page after page. `seen` has the ids of the events that it was shown, in order."""

    def __init__(self, world: World, since: str, **query: Any) -> None:
        self.query = query
        self.seen: list[str] = []
        self._world = world
        self._asked: dict[str, Any] = {"since": since, **query}
        self._limits = cycle((20, 100, 1))

    def poll(self, **more: Any) -> bool:
        """One page. Whether there is more."""
        asked = {**self._asked, "limit": next(self._limits), **more}
        page = done(self._world, "GET", f"/v1/events?{urlencode(asked, doseq=True)}").body
        self.seen += [event["id"] for event in page["data"]]
        self._asked["cursor"] = page["meta"]["next_cursor"]
        has_more: bool = page["meta"]["has_more"]
        return has_more

    def poll_all(self) -> "Poller":
        while self.poll(limit=100):
            pass
        return self

    @property
    def twice(self) -> set[str]:
        """The ids of those that it was shown twice; none is shown more often."""
        seen = Counter(self.seen)
        assert max(seen.values()) <= 2, self.query
        return {id for id, times in seen.items() if times > 1}

    def takes(self, row: Item) -> bool:
        """The rule of the filter once more, in the words of its documentation."""
        wanted = {"project_id": "project", "space_id": "space", "actor_id": "actor"}
        if any(row[wanted[name]] != flat_id(value) for name, value in self.query.items() if name in wanted):
            return False
        starts = [type.removesuffix("*") for type in self.query.get("type", ["*"])]
        return any(row["type"].startswith(start) for start in starts)


def ids(world: World, **query: Any) -> list[str]:
    return [event["id"] for page in pages(world, **query) for event in page["data"]]


def types(world: World, **query: Any) -> list[str]:
    return [event["type"] for page in pages(world, **query) for event in page["data"]]


def ledger(world: World, tenant: str = "acme") -> list[str]:
    """The ids of all events of a tenant, by their rows, the oldest first."""
    shards = keys.ledger_shards(tenant_of(world, tenant))
    return sorted(row["sk"] for row in rows_here().all() if row["pk"] in shards)


def add(world: World, model: str, count: int, milliseconds: int, shard: int | None = None, **changes: Any) -> list[str]:
    """Copies of an event past the API, at a moment, in all partitions or in one; their ids in order."""
    client, tenant = boto3.client("dynamodb"), tenant_of(world)
    name = os.environ["TABLE_NAME"]
    pk, sk = keys.event(tenant, model)
    row = client.get_item(TableName=name, Key={"pk": {"S": pk}, "sk": {"S": sk}})["Item"]
    made = new_ids(count, milliseconds)
    if shard is not None:
        pks = keys.ledger_shards(tenant)
        many = new_ids(count * 2 * len(pks) + 100, milliseconds)
        made = [id for id in many if keys.event(tenant, id).pk == pks[shard]][:count]
        assert len(made) == count
    places = [keys.event(tenant, id) for id in made]
    items = [{**row, **changes, "pk": {"S": each.pk}, "sk": {"S": each.sk}} for each in places]
    for first in range(0, count, 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[first : first + 25]]
        assert not client.batch_write_item(RequestItems={name: puts})["UnprocessedItems"]
    return made
