"""The list of events, as a client reads it, and the ledger behind it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from atrium import keys
from atrium.ids import new_ids
from atrium.models import timestamp
from tests.support.client import Answer, World, flat_id
from tests.support.rows import Rows


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


def tenant_of(world: World, name: str = "acme") -> str:
    return flat_id(world.dev["tenants"][name]["tenant_id"])


def rows_of(world: World) -> Rows:
    return Rows(boto3.client("dynamodb"), os.environ["TABLE_NAME"])


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


def ids(world: World, **query: Any) -> list[str]:
    return [event["id"] for page in pages(world, **query) for event in page["data"]]


def types(world: World, **query: Any) -> list[str]:
    return [event["type"] for page in pages(world, **query) for event in page["data"]]


def ledger(world: World, tenant: str = "acme") -> list[str]:
    """The ids of all events of a tenant, by their rows, the oldest first."""
    shards = keys.ledger_shards(tenant_of(world, tenant))
    return sorted(row["sk"] for row in rows_of(world).all() if row["pk"] in shards)


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
