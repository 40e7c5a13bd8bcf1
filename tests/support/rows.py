"""The rows of the table, past Atrium and its wall: read, damaged, copied and counted."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from typing import Any

import boto3

from atrium import keys
from atrium.api import authorizer
from atrium.credentials import digest
from atrium.ids import new_id
from atrium.keys import Key
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, table
from atrium.store.engine.wire import plain_item, wire_item, wire_key
from atrium.store.fsck.check import Check
from atrium.store.fsck.people import space_member_row
from local.template import TABLE_NAME
from tests.support.client import RECORDS, World, flat_id, flat_path
from tests.support.direct import Direct, direct
from tests.support.world import Crowd


class Rows:
    """The table's rows, past Atrium and its wall: the hand of an operator who slips. Many at once are read and written
    past the SDK too.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def get(self, key: Key) -> Item | None:
        answer = self._client.get_item(TableName=self._name, Key=wire_key(key), ConsistentRead=True)
        return plain_item(answer["Item"]) if "Item" in answer else None

    def put(self, key: Key, row: Item) -> None:
        self._client.put_item(TableName=self._name, Item=wire_item({**row, "pk": key.pk, "sk": key.sk}))

    def put_all(self, rows: Mapping[Key, Item]) -> None:
        self._write(rows)

    def change(self, key: Key, **changes: Any) -> None:
        """Sets attributes, and takes away those that are to be None."""
        row = self.get(key)
        assert row is not None
        self.put(key, {name: value for name, value in {**row, **changes}.items() if value is not None})

    def copy(self, key: Key, to: Key, **changes: Any) -> None:
        row = self.get(key)
        assert row is not None
        self.put(to, {**row, **changes})

    def delete(self, key: Key) -> None:
        self._client.delete_item(TableName=self._name, Key=wire_key(key))

    def all(self) -> list[Item]:
        """By key."""
        with closing(self._direct()) as table:
            return [plain_item(item) for _, item in sorted(table.items().items())]

    def restore(self, rows: Mapping[Key, Item]) -> None:
        now = {Key(row["pk"], row["sk"]): row for row in self.all()}
        changed = {key: row for key, row in rows.items() if spelled(now.get(key)) != spelled(row)}
        self._write(changed, [*(now.keys() - rows.keys())])

    def _write(self, rows: Mapping[Key, Item], deleted: Sequence[Key] = ()) -> None:
        puts = [wire_item({**row, "pk": key.pk, "sk": key.sk}) for key, row in rows.items()]
        with closing(self._direct()) as table:
            table.write(puts, deleted)

    def _direct(self) -> Direct:
        """The same table, where the client finds it."""
        key = self._client._request_signer._credentials.access_key
        return Direct(self._client.meta.endpoint_url, key, self._name)


def rows_here() -> Rows:
    """Those of the world that runs."""
    return Rows(_client(os.environ["AWS_ENDPOINT_URL_DYNAMODB"]), os.environ["TABLE_NAME"])


@cache
def _client(_endpoint: str) -> Any:
    """One for all tests: it takes longer to be made than most of what they ask."""
    return boto3.client("dynamodb")


def spelled(rows: Any) -> str:
    """A row, or several, as a text to compare: to Python, True is 1."""
    return json.dumps(rows, sort_keys=True, default=repr)


def clean(summary: Any) -> bool:
    return (summary["complete"], summary["clean"], summary["damage"], summary["details"]) == (True, True, {}, [])


def rows_naming(crowd: Crowd, project: str) -> list[str]:
    """The kinds of rows that hold a project's id, sorted: from the table itself."""
    pages = crowd.client.get_paginator("scan").paginate(TableName=TABLE_NAME, ConsistentRead=True)
    kinds = []
    for item in (item for page in pages for item in page["Items"]):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if project in pk or project in sk:
            kinds.append("PURGE" if pk.startswith("PURGE") else f"{pk.split('#')[2][0]} {sk.partition('#')[0]}")
    return sorted(kinds)


def id_of(path: str) -> str:
    return flat_id(path.rpartition("/")[2])


def fill(crowd: Crowd, project: str, count: int) -> None:
    """Adds copies of a record of each kind, and of a note, past the API: many in little time."""
    world = crowd.world
    made = [world.new_record(project, kind) for kind in RECORDS]
    note = world.new_note(next(path for path in made if "/tasks/" in path))
    pk = f"T#{flat_id(world.dev['tenants']['acme']['tenant_id'])}#P#{id_of(project)}"
    models = []
    for path in (*made, note):
        *_, above, kind, id = flat_path(path).split("/")
        sk = f"TASKNOTE#{above}#{id}" if kind == "notes" else f"{kind[:-1].upper()}#{id}"
        item = crowd.client.get_item(TableName=TABLE_NAME, Key={"pk": {"S": pk}, "sk": {"S": sk}})["Item"]
        models.append((item, sk.rpartition("#")[0] + "#"))
    puts = []
    for number in range(count - len(models)):
        item, prefix = models[number % len(models)]
        id = new_id()
        puts.append({"PutRequest": {"Item": item | {"sk": {"S": prefix + id}, "id": {"S": id}}}})
    batches = [puts[position : position + 25] for position in range(0, len(puts), 25)]
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(
            lambda batch: crowd.client.batch_write_item(RequestItems={TABLE_NAME: batch}), batches
        ):
            assert not answer["UnprocessedItems"]


def copies(world: World, project: str, kind: str, count: int, **fields: Any) -> list[str]:
    """The ids, in the flat spelling, of new records that are copies of one, made past the API."""
    table = direct()
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    made = world("POST", f"{project}/{kind}", RECORDS[kind] | fields)
    assert made.status == 201, made
    prefix = f"{kind[:-1].upper()}#"
    first = flat_id(made.body["id"])
    key = {"pk": {"S": f"T#{tenant}#P#{flat_id(project.rpartition('/')[2])}"}, "sk": {"S": prefix + first}}
    item = table.answer("GetItem", TableName=table.name, Key=key)["Item"]
    ids = [first, *(new_id() for _ in range(count - 1))]
    table.write([item | {"sk": {"S": prefix + id}, "id": {"S": id}} for id in ids[1:]])
    table.close()
    return sorted(ids)


def meta_of(world: World, project: str) -> Item:
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with scope(tenant):
        found = table().get(keys.project(tenant, flat_id(project.rpartition("/")[2])))
    assert found is not None
    return found


def set_status(world: World, name: str, status: str, **more: str) -> None:
    """A principal with another status. The table is told directly: its own row, and the one in the list."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows = rows_here()
    for key in (keys.principal(tenant, world.id(name)), keys.listed_principal(tenant, world.id(name))):
        rows.change(key, status=status, **more)


@contextmanager
def narrowing(world: World, name: str, **narrowed_to: list[str]) -> Iterator[None]:
    """A principal's token is narrowed. The table is told directly, and the authorizer asks it again."""
    rows = rows_here()
    key = keys.credential(digest(world.principal(name)["token"]))
    rows.change(key, **narrowed_to)
    authorizer.credentials.cache_clear()
    yield
    rows.change(key, **dict.fromkeys(narrowed_to))
    authorizer.credentials.cache_clear()


def set_space_roles(world: World, name: str, roles: dict[str, str]) -> None:
    """A principal that is no admin and has these roles. The table is told directly: the principal's item, the spaces'
    rows."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows = rows_here()
    person = keys.principal(tenant, world.id(name))
    before = rows.get(person)
    assert before is not None
    spaces = {flat_id(space): role for space, role in roles.items()}
    rows.change(person, spaces=spaces, tenant_role="member")
    for space in before["spaces"].keys() - spaces.keys():
        rows.delete(keys.space_member(tenant, space, world.id(name)))
    for space in spaces:
        row = space_member_row({**before, "spaces": spaces}, space)
        rows.put(keys.space_member(tenant, space, world.id(name)), row)


def require_sound() -> None:
    """The check of the table finds nothing."""
    summary = Check(table()).run()
    assert summary["clean"], summary
