"""The wall under the code: no call leaves the tenant of its request, whatever the code above asks for."""

from collections.abc import Callable
from typing import Any

import pytest

from atrium import keys
from atrium.keys import Key
from atrium.store.table import Range, Table, TenantWall, Write, scope, starting_with, table
from tests.client import World, flat_id

OTHER = "f" * 24


def put(key: Key) -> Write:
    return Write("Put", {"Item": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}})


def check(key: Key) -> Write:
    item = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
    return Write("ConditionCheck", {"Key": item, "ConditionExpression": "attribute_exists(pk)"})


ESCAPES: dict[str, Callable[[Table, str], Any]] = {
    "get": lambda t, own: t.get(keys.project(OTHER, OTHER)),
    "get all": lambda t, own: t.get_all([keys.project(own, OTHER), keys.project(OTHER, OTHER)]),
    "query": lambda t, own: t.query(starting_with(keys.space(OTHER, OTHER).pk, keys.PROJECT, None, 1)),
    "a tenant whose id starts alike": lambda t, own: t.get(keys.project(own + "0", OTHER)),
    "a tenant that is the start of another": lambda t, own: t.get(keys.project(own[:-1], OTHER)),
    "transaction": lambda t, own: t.transact(
        [put(keys.project(own, OTHER)), put(keys.project(OTHER, OTHER))], "x" * 36
    ),
    "condition": lambda t, own: t.transact([check(keys.principal(OTHER, OTHER))], "x" * 36),
    "credential": lambda t, own: t.get(keys.credential("0" * 64)),
    "purge queue of another": lambda t, own: t.transact([put(keys.purge(OTHER, OTHER))], "x" * 36),
    "purge queue, unbounded": lambda t, own: t.query(Range("PURGE#1", "", "\x7f", 1)),
    "scan": lambda t, own: t._client.scan(TableName=t.name),
    "PartiQL": lambda t, own: t._client.execute_statement(Statement=f'SELECT * FROM "{t.name}"'),
    "batch delete": lambda t, own: t.delete_all([keys.project(own, OTHER), keys.project(OTHER, OTHER)]),
    "a free partition": lambda t, own: t._client.query(
        TableName=t.name, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "x"}}
    ),
    "update": lambda t, own: t.touch(keys.project(OTHER, OTHER), "SET #a = :a", "attribute_exists(#pk)", {"a": 1}),
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_call_outside_of_the_tenant_is_stopped(world: World, escape: str) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own), pytest.raises(TenantWall):
        ESCAPES[escape](table(), own)


def test_a_call_without_a_scope_is_stopped(world: World) -> None:
    with pytest.raises(TenantWall):
        table()._client.get_item(TableName=table().name, Key={"pk": {"S": "T#"}, "sk": {"S": "META"}})


def test_threads_stay_behind_the_wall(world: World) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own):
        assert len(table().together([lambda: table().get(keys.space(own, own))] * 3)) == 3
        with pytest.raises(TenantWall):
            table().together([lambda: table().get(keys.space(own, own)), lambda: table().get(keys.space(OTHER, OTHER))])


def test_only_provisioning_and_the_authorizer_reach_credentials(world: World) -> None:
    own = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(own, credentials=True):
        assert table().get(keys.credential("0" * 64)) is None
    with scope(None, credentials=True), pytest.raises(TenantWall):
        table().get(keys.space(own, own))


def test_only_the_check_of_the_table_goes_everywhere_and_scans(world: World) -> None:
    with scope(None, everything=True):
        found, after = table().scan_keys()
        assert after is None
        assert len({pk.split("#")[1] for pk, _ in found if pk.startswith("T#")}) == 2
        assert table().get(keys.space(OTHER, OTHER)) is None
        with pytest.raises(TenantWall):
            table()._client.execute_statement(Statement=f'SELECT * FROM "{table().name}"')
    for bounded in (scope(OTHER), scope(None, credentials=True), scope(None, purges=True)):
        with bounded, pytest.raises(TenantWall):
            table().scan_keys()
