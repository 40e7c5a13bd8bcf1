"""The check of the table: it finds each kind of damage, repairs what it can, and is not deceived by a table in use."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.automation import checking
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.store import fsck
from atrium.store.engine.table import Item, Table, table
from atrium.store.engine.wire import wire_item, wire_key
from local.database import free_port
from local.endpoints import endpoints_of
from local.fsck import checked
from local.functions import FunctionFailed, call
from local.template import ROOT, TABLE_NAME, Template
from tests.support.client import RECORDS, Answer, World, flat_id, flat_path, new_key, v1_id
from tests.support.clock import NET
from tests.support.iam import needless, of_its_calls, statements
from tests.support.processes import wait_for
from tests.support.rows import Rows, clean
from tests.support.trace import Trace
from tests.support.world import Crowd, full, the_template

GHOST = "f" * 24
TWIN = "e" * 24
LONG_AGO = "2020-01-01T00:00:00.000Z"
TASK = RECORDS["tasks"]


@dataclass
class Place:
    """A table with some of everything in it. Ids in Atrium's own spelling; `path` is the project's in v1."""

    world: World
    rows: Rows
    path: str
    project: str
    task: str
    note: str
    deleted: str
    deleted_task: str

    @property
    def tenant(self) -> str:
        return flat_id(self.world.dev["tenants"]["acme"]["tenant_id"])

    def person(self, name: str) -> Key:
        return keys.principal(self.tenant, self.world.id(name))

    def member(self, name: str) -> Key:
        return keys.member(self.tenant, self.project, self.world.id(name))

    def joined(self, name: str) -> Key:
        return keys.principal_project(self.tenant, self.world.id(name), self.project)

    def in_space(self, name: str) -> Key:
        return keys.space_member(self.tenant, self.tenant, self.world.id(name))

    def email(self, address: str) -> Key:
        return keys.email(self.tenant, address)

    def named(self, words: str, name: str) -> Key:
        return keys.name(self.tenant, words, self.world.id(name))

    def record(self, kind: str) -> Key:
        prefix = keys.record(self.tenant, self.project, kind, "").sk
        return next(Key(row["pk"], row["sk"]) for row in self.rows.all() if row["sk"].startswith(prefix))

    @property
    def meta(self) -> Key:
        return keys.project(self.tenant, self.project)

    @property
    def listed(self) -> Key:
        return keys.space_project(self.tenant, self.tenant, self.project)

    def any(self, prefix: str) -> Key:
        return next(Key(row["pk"], row["sk"]) for row in self.rows.all() if row["pk"].startswith(prefix))


def last(path: str) -> str:
    id = path.rpartition("/")[2]
    return id if len(id) == 24 else flat_id(id)


def furnish(world: World, rows: Rows) -> Place:
    """Projects, members of every role, records, notes, an archived and a deleted project, a deleted task, replays."""
    path = world.new_project(key=new_key())
    world.new_member(path, "contributor", "contributor")
    world.new_member(path, "outsider", "viewer")
    world("PATCH", path, {"description": {"summary": "To the moon"}}, key=new_key())
    made = {kind: world("POST", f"{path}/{kind}", body, key=new_key()).body["id"] for kind, body in RECORDS.items()}
    task = flat_id(made["tasks"])
    notes = f"{flat_path(path)}/tasks/{task}/notes"
    note = world("POST", notes, {"content": "Remember"}, key=new_key()).body["_id"]
    archived = world.new_project("Gemini", space="research")
    assert world("POST", f"{archived}/tasks", TASK).status == 201
    assert world("PATCH", archived, {"status": "archived"}).status == 200
    handed = world.new_project("Mercury", by="contributor")
    world.new_member(handed, "viewer", "viewer")
    assert world("PATCH", handed, {"manager_id": world.uuid("viewer")}).status == 200
    world.new_project("Skylab", tenant="globex")
    deleted = world.new_project("Soyuz")
    world.new_member(deleted, "viewer", "viewer")
    assert world("POST", f"{deleted}/tasks", TASK).status == 201
    assert world("DELETE", deleted, key=new_key()).status == 204
    other = world("POST", f"{path}/tasks", TASK).body["id"]
    gone = f"{flat_path(path)}/tasks/{flat_id(other)}"
    assert world("POST", f"{gone}/notes", {"content": "Forget"}).status == 201
    assert world("DELETE", gone).status == 200
    return Place(world, rows, path, last(path), task, note, last(deleted), flat_id(other))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is at work in most tests, so a moment may be short."""
    monkeypatch.setattr(fsck, "MOMENT", 0.01)


@pytest.fixture(scope="module")
def furnished(shared: World, template: Template) -> Place:
    provisioning = json.loads((ROOT / "events/automation/provision.json").read_text())
    call(template.functions["Provision"], provisioning)
    call(template.functions["SweepDeleted"], {})
    return furnish(shared, Rows(boto3.client("dynamodb"), os.environ["TABLE_NAME"]))


@pytest.fixture
def place(furnished: Place) -> Iterator[Place]:
    """The same for all tests, each of which finds every row as it was."""
    before = {Key(row["pk"], row["sk"]): row for row in furnished.rows.all()}
    yield furnished
    furnished.rows.restore(before)


@pytest.fixture
def check(template: Template) -> Callable[..., Any]:
    """Invokes the function."""
    return lambda **event: call(template.functions["Fsck"], event)


def picture(world: World, path: str) -> list[tuple[int, Any]]:
    """What the API answers, all around the project."""
    flat, v1 = flat_path(path), world.projects()
    paths = ["/projects", "/v1/me", v1, world.projects("research"), path, f"{path}/members", flat]
    seen = [world("GET", target, by=name).seen for target in paths for name in ("owner", "viewer", "outsider")]
    found = ["owner@", "out", "of acme", "contributor of", "acme"]
    return seen + [world("GET", f"{flat}/team/search?q={text}").seen for text in found]


# ---------------------------------------------------------------- a table without damage


def test_a_healthy_table_is_clean_and_all_of_it_is_looked_at(place: Place, check: Callable[..., Any]) -> None:
    summary = check(**json.loads((ROOT / "events/automation/fsck.json").read_text()))
    assert clean(summary), summary
    assert summary["unsettled"] == 0
    assert sum(summary["rows"].values()) == len(place.rows.all())
    assert set(summary["rows"]) == set(keys._PATTERNS)
    assert (summary["rows"]["project"], summary["rows"]["purge"]) == (5, 2)


def test_rows_from_before_a_project_could_say_that_it_is_bare_are_as_good(
    place: Place, check: Callable[..., Any]
) -> None:
    before = picture(place.world, place.path)
    for row in place.rows.all():
        if "bare" in row:
            place.rows.change(Key(row["pk"], row["sk"]), bare=None)
    assert picture(place.world, place.path) == before
    for row in place.world("GET", place.world.projects()).body["data"]:
        assert place.world("PATCH", place.world.projects() + f"/{row['id']}", {"name": "Renamed"}).status == 200
    summary = check()
    assert clean(summary), summary


def test_a_check_writes_nothing(place: Place, check: Callable[..., Any]) -> None:
    place.rows.delete(place.listed)
    before = place.rows.all()
    assert check()["left"] == {"list_row_missing": 1}
    assert place.rows.all() == before


@pytest.mark.parametrize(
    "event",
    [
        {"repair": 1},
        {"repair": "true"},
        {"tenant": "x"},
        {"tenant_id": "x"},
        {"after": ["PULSE"]},
        {"segment": 4, "segments": 4},
        {"segment": -1},
    ],
)
def test_an_event_that_asks_for_something_else_is_refused(
    shared: World, check: Callable[..., Any], event: dict[str, Any]
) -> None:
    with pytest.raises(FunctionFailed) as failure:
        check(**event)
    assert failure.value.error_type == "Refused"
    assert next(iter(event)) in failure.value.message


# ---------------------------------------------------------------- each kind of damage


def ghost_member(p: Place) -> None:
    p.rows.copy(p.member("owner"), keys.member(p.tenant, p.project, GHOST), principal=GHOST)
    p.rows.change(p.meta, members=4)


def ghost_manager(p: Place) -> None:
    p.rows.change(p.meta, manager=GHOST)
    p.rows.change(p.listed, manager=GHOST)


def orphaned_member(p: Place) -> None:
    p.rows.copy(p.member("owner"), keys.member(p.tenant, GHOST, p.world.id("owner")))
    p.rows.put(keys.principal_project(p.tenant, p.world.id("owner"), GHOST), {"id": GHOST, "space": p.tenant})


def twin(p: Place) -> None:
    """Another principal with the owner's e-mail address."""
    name = "Twin"
    person = {"id": TWIN, "name": name, "spaces": {}}
    p.rows.copy(p.person("owner"), keys.principal(p.tenant, TWIN), **person)
    entry = {"principal": TWIN, "name": name, "email": "owner@acme.example"}
    p.rows.put(keys.name(p.tenant, "twin", TWIN), entry)


def overdue(p: Place) -> None:
    p.rows.change(keys.project(p.tenant, p.deleted), deleted_at=LONG_AGO)
    p.rows.change(keys.purge(p.tenant, p.deleted), deleted_at=LONG_AGO)


def unqueued_long_ago(p: Place) -> None:
    p.rows.change(keys.project(p.tenant, p.deleted), deleted_at=LONG_AGO)
    p.rows.delete(keys.purge(p.tenant, p.deleted))


def queued(p: Place, task: str | None = None) -> None:
    named = {"task": task} if task else {"space": p.tenant}
    row = {"tenant": p.tenant, "project": p.project, "deleted_at": LONG_AGO, **named}
    p.rows.put(keys.purge(p.tenant, p.project, task), row)


def unhand(p: Place) -> None:
    p.rows.delete(p.member("owner"))
    p.rows.delete(p.joined("owner"))


def roles_in_no_space(p: Place) -> None:
    p.rows.change(p.person("outsider"), spaces={GHOST: "viewer"})


def called_bare(name: str, p: Place) -> None:
    (project,) = (row["id"] for row in p.rows.all() if row["sk"] == keys.META and row.get("name") == name)
    meta = keys.project(p.tenant, project)
    row = p.rows.get(meta)
    assert row is not None
    p.rows.change(meta, bare=True)
    p.rows.change(keys.space_project(p.tenant, row["space"], project), bare=True)


def differing(name: str, p: Place) -> None:
    p.rows.change(p.listed, **{name: "other"})


def without(name: str, p: Place) -> None:
    p.rows.change(p.meta, **{name: None})


def announced(type: str, kind: str, p: Place) -> None:
    """META's last event is of another change than the last one: of a record or member that is there, or of a ghost."""
    key = p.member("viewer" if kind == "ghost" else "outsider") if type.startswith("member") else None
    id = GHOST if kind == "ghost" else p.record("decision").sk.rpartition("#")[2]
    resource = {"principal_id": v1_id(key.sk.removeprefix(keys.ROLE))} if key else {"id": v1_id(id)}
    meta = p.rows.get(p.meta)
    assert meta is not None
    event = {**meta["last_event"], "type": type, "time": LONG_AGO, "resource": json.dumps(resource)}
    p.rows.change(p.meta, last_event=event)


def answered(p: Place, row: str, **change: Any) -> None:
    """An idempotency record tells of a change of the project."""
    p.rows.change(replay(p), change={"project": p.project, "row": row, "sequence": 1_000, **change})


Seed = Callable[[Place], None]

# Of each kind, ways to do the damage, and what the repair does; None where it is a person's to repair.
DAMAGE: dict[str, tuple[str | None, dict[str, Seed]]] = {
    "orphan": (
        "deleted",
        {
            "member": orphaned_member,
            "task": lambda p: p.rows.copy(p.record("task"), keys.record(p.tenant, GHOST, "task", p.task)),
            "decision": lambda p: p.rows.copy(p.record("decision"), keys.record(p.tenant, GHOST, "decision", GHOST)),
            "note": lambda p: p.rows.put(keys.note(p.tenant, GHOST, p.task, p.note), {}),
        },
    ),
    "list_row_missing": ("written", {"": lambda p: p.rows.delete(p.listed)}),
    "list_row_differs": (
        "written",
        {
            **{
                name: partial(differing, name)
                for name in ("name", "status", "manager", "updated_at", "created_by", "created_at")
            },
            "an attribute less": lambda p: p.rows.change(p.listed, status=None),
        },
    ),
    "list_row_of_nothing": (
        "deleted",
        {
            "no project": lambda p: p.rows.copy(p.listed, keys.space_project(p.tenant, p.tenant, GHOST), id=GHOST),
            "another space": lambda p: p.rows.copy(p.listed, keys.space_project(p.tenant, research(p), p.project)),
        },
    ),
    "list_row_of_deleted": (
        "deleted",
        {"": lambda p: p.rows.copy(p.listed, keys.space_project(p.tenant, p.tenant, p.deleted), id=p.deleted)},
    ),
    "manager_not_a_member": (
        "written",
        {"one row": lambda p: p.rows.delete(p.member("owner")), "both rows": unhand},
    ),
    "manager_demoted": ("written", {"": lambda p: p.rows.change(p.member("owner"), role="viewer")}),
    "manager_unknown": (None, {"": ghost_manager}),
    "members_miscounted": (
        "written",
        {
            "more": lambda p: p.rows.change(p.meta, members=4),
            "less": lambda p: p.rows.change(p.meta, members=-1),
        },
    ),
    "bare_with_more": (
        "written",
        {
            "members": partial(called_bare, "Mercury"),
            "tasks": partial(called_bare, "Gemini"),
        },
    ),
    "member_unknown": (None, {"": ghost_member}),
    "member_malformed": (
        None,
        {
            "role": lambda p: p.rows.change(p.member("contributor"), role="owner"),
            "attribute": lambda p: p.rows.change(p.member("owner"), version=None),
            "of another": lambda p: p.rows.change(p.member("contributor"), principal=GHOST),
        },
    ),
    "joined_row_missing": ("written", {"": lambda p: p.rows.delete(p.joined("outsider"))}),
    "joined_row_of_nobody": (
        "deleted",
        {
            "no member": lambda p: p.rows.put(p.joined("viewer"), {"id": p.project, "space": p.tenant}),
            "no project": lambda p: p.rows.put(
                keys.principal_project(p.tenant, p.world.id("viewer"), GHOST), {"id": GHOST, "space": p.tenant}
            ),
        },
    ),
    "joined_row_differs": (
        "written",
        {
            "space": lambda p: p.rows.change(p.joined("outsider"), space=GHOST),
            "empty": lambda p: p.rows.put(p.joined("outsider"), {}),
        },
    ),
    "space_malformed": (None, {"": lambda p: p.rows.change(keys.space(p.tenant, p.tenant), name=None)}),
    "pulse_malformed": (None, {"": lambda p: p.rows.change(keys.PULSE, at="yesterday")}),
    "space_member_missing": ("written", {"": lambda p: p.rows.delete(p.in_space("viewer"))}),
    "space_member_differs": ("written", {"": lambda p: p.rows.change(p.in_space("viewer"), role="owner")}),
    "space_member_of_nobody": (
        "deleted",
        {
            "not in the map": lambda p: p.rows.copy(p.in_space("viewer"), p.in_space("outsider")),
            "no principal": lambda p: p.rows.copy(
                p.in_space("viewer"), keys.space_member(p.tenant, p.tenant, GHOST), principal=GHOST
            ),
        },
    ),
    "role_in_no_space": (None, {"": roles_in_no_space}),
    "deletion_not_queued": (
        "written",
        {"": lambda p: p.rows.delete(keys.purge(p.tenant, p.deleted))},
    ),
    "deletion_not_queued, long ago": ("purged", {"": unqueued_long_ago}),
    "purge_overdue": (
        "purged",
        {
            "project": overdue,
            "task": lambda p: p.rows.change(keys.purge(p.tenant, p.project, p.deleted_task), deleted_at=LONG_AGO),
        },
    ),
    "queue_row_of_living": ("deleted", {"project": queued, "task": lambda p: queued(p, p.task)}),
    "queue_row_malformed": (
        "deleted",
        {
            "of a living project": lambda p: p.rows.put(keys.purge(p.tenant, p.project), {"deleted_at": 1}),
            "of a living task": lambda p: p.rows.put(keys.purge(p.tenant, p.project, p.task), {}),
            "of nothing": lambda p: p.rows.put(keys.purge(p.tenant, GHOST), {"deleted_at": LONG_AGO}),
            "another shard": lambda p: p.rows.copy(keys.purge(p.tenant, p.deleted), elsewhere(p)),
            "another key": lambda p: p.rows.put(Key("PURGE#0", "!"), {"deleted_at": LONG_AGO, "x": {"y": [1]}}),
        },
    ),
    "queue_row_malformed, of what is deleted": (
        "purged",
        {
            "attribute": lambda p: p.rows.change(keys.purge(p.tenant, p.deleted), deleted_at=None),
            "another's": lambda p: p.rows.change(keys.purge(p.tenant, p.deleted), project=GHOST),
            "task": lambda p: p.rows.change(keys.purge(p.tenant, p.project, p.deleted_task), deleted_at=7),
        },
    ),
    "note_of_nothing": (
        "deleted",
        {"": lambda p: p.rows.delete(keys.purge(p.tenant, p.project, p.deleted_task))},
    ),
    "note_malformed": (
        None,
        {"": lambda p: p.rows.change(keys.note(p.tenant, p.project, p.task, p.note), content=None)},
    ),
    "record_malformed": (
        None,
        {
            "task": lambda p: p.rows.change(p.record("task"), status="someday"),
            "dataset": lambda p: p.rows.change(p.record("dataset"), records="many"),
            "experiment": lambda p: p.rows.change(p.record("experiment"), metric=None),
            "decision": lambda p: p.rows.change(p.record("decision"), id=GHOST),
        },
    ),
    "directory_row_missing": (
        "written",
        {
            "e-mail": lambda p: p.rows.delete(p.email("owner@acme.example")),
            "name": lambda p: p.rows.delete(p.named("acme", "owner")),
        },
    ),
    "directory_row_of_nobody": (
        "deleted",
        {
            "e-mail": lambda p: p.rows.copy(p.email("owner@acme.example"), p.email("x@acme.example"), principal=GHOST),
            "another's e-mail": lambda p: p.rows.copy(p.email("owner@acme.example"), p.email("x@acme.example")),
            "empty": lambda p: p.rows.put(p.email("x@acme.example"), {}),
            "name": lambda p: p.rows.copy(p.named("acme", "owner"), keys.name(p.tenant, "acme", GHOST)),
            "another name": lambda p: p.rows.copy(p.named("acme", "owner"), p.named("x", "owner")),
        },
    ),
    "directory_row_differs": (
        "written",
        {
            "e-mail": lambda p: p.rows.change(p.email("owner@acme.example"), name="Mallory"),
            "name": lambda p: p.rows.change(p.named("acme", "owner"), email="mallory@acme.example"),
        },
    ),
    "email_shared": (None, {"": twin}),
    "principal_malformed": (
        None,
        {
            "role": lambda p: p.rows.change(p.person("outsider"), spaces={p.tenant: "boss"}),
            "attribute": lambda p: p.rows.change(p.person("owner"), kind=None),
        },
    ),
    "project_malformed": (
        None,
        {
            **{
                name: partial(without, name)
                for name in ("name", "members", "sequence", "last_event", "manager", "space")
            },
            "another id": lambda p: p.rows.change(p.meta, id=GHOST),
            "another tenant": lambda p: p.rows.change(p.meta, tenant=GHOST),
            "another type": lambda p: p.rows.change(p.meta, version="1"),
            "an event without an id": partial(announced, "note.created", "there"),
        },
    ),
    "change_in_part": (
        None,
        {
            "created": partial(announced, "decision.created", "ghost"),
            "updated": partial(announced, "decision.updated", "there"),
            "deleted": partial(announced, "decision.deleted", "there"),
            "added": partial(announced, "member.added", "ghost"),
            "removed": partial(announced, "member.removed", "there"),
        },
    ),
    "replay_of_nothing": (
        "deleted",
        {
            "not made": lambda p: answered(p, f"DECISION#{GHOST}", at=LONG_AGO),
            "not changed": lambda p: answered(p, p.record("decision").sk, at=LONG_AGO),
            "not changed itself": lambda p: answered(p, keys.META, at=LONG_AGO),
            "not deleted": lambda p: answered(p, p.record("decision").sk, sequence=1),
            "not removed": lambda p: answered(p, p.member("outsider").sk),
        },
    ),
    "project_in_no_space": (None, {"": lambda p: p.rows.change(p.meta, space=GHOST)}),
    "credential_malformed": (
        None,
        {
            "kind": lambda p: p.rows.change(p.any("KEY#"), kind="password"),
            "attribute": lambda p: p.rows.change(p.any("KEY#"), principal=None),
        },
    ),
    "credential_unlisted": (None, {"": lambda p: p.rows.delete(credential(p))}),
    "credential_lost": (
        None,
        {
            "": lambda p: p.rows.delete(p.any("KEY#")),
            "an older secret": lambda p: p.rows.change(credential(p), previous="0" * 64),
        },
    ),
    "principal_credential_malformed": (
        None,
        {
            "kind": lambda p: p.rows.change(credential(p), kind="password"),
            "attribute": lambda p: p.rows.change(credential(p), created_at=None),
            "another id": lambda p: p.rows.change(credential(p), id=GHOST),
        },
    ),
    "credential_of_nobody": (None, {"": lambda p: p.rows.change(p.any("KEY#"), principal=GHOST)}),
    "replay_malformed": (
        None,
        {
            "fingerprint": lambda p: p.rows.change(replay(p), fingerprint="0" * 63),
            "status": lambda p: p.rows.change(replay(p), status="200"),
            "body": lambda p: p.rows.change(replay(p), body=None),
            "headers": lambda p: p.rows.change(replay(p), headers=[]),
            "confirms": lambda p: p.rows.change(replay(p), confirms=1),
            "ttl": lambda p: p.rows.change(replay(p), ttl="soon"),
            "change": lambda p: answered(p, keys.META, project="x"),
        },
    ),
    "unknown_key": (
        None,
        {
            "partition": lambda p: p.rows.put(Key(f"T#{p.tenant}#Z#1", "META"), {}),
            "row": lambda p: p.rows.put(Key(p.meta.pk, "COMMENT#1"), {}),
            "id": lambda p: p.rows.put(Key(p.meta.pk, f"ROLE#{GHOST.upper()}"), {}),
            "directory": lambda p: p.rows.put(Key(keys.directory(p.tenant), "MAIL#owner@acme.example"), {}),
        },
    ),
}  # fmt: skip


def elsewhere(p: Place) -> Key:
    right = keys.purge(p.tenant, p.deleted)
    return Key(next(pk for pk in keys.purge_shards() if pk != right.pk), right.sk)


def research(p: Place) -> str:
    return flat_id(p.world.dev["tenants"]["acme"]["spaces"]["research"])


def replay(p: Place) -> Key:
    return p.any(keys.idempotency(p.tenant, "").pk)


def credential(p: Place) -> Key:
    return next(Key(row["pk"], row["sk"]) for row in p.rows.all() if row["sk"].startswith(keys.CREDENTIAL))


CASES = [(kind, way) for kind, (_, ways) in DAMAGE.items() for way in ways]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_damage_is_found_once_and_repaired(place: Place, check: Callable[..., Any], kind: str, way: str) -> None:
    done, ways = DAMAGE[kind]
    named = kind.partition(",")[0]
    before = picture(place.world, place.path)
    sequences = {row["pk"]: row["sequence"] for row in place.rows.all() if "sequence" in row}
    ways[way](place)
    found = check()
    assert (found["damage"], found["repaired"], found["left"]) == ({named: 1}, {}, {named: 1}), found["details"]
    assert [(detail["kind"], detail["repairable"]) for detail in found["details"]] == [(named, done is not None)]
    damaged = place.rows.all()
    repaired = check(repair=True)
    if done is None:
        assert (repaired["damage"], repaired["left"], repaired["clean"]) == ({named: 1}, {named: 1}, False)
        assert place.rows.all() == damaged
        return
    assert (repaired["damage"], repaired["repaired"], repaired["left"]) == ({named: 1}, {named: 1}, {})
    assert [detail["done"] for detail in repaired["details"]] == [done]
    assert clean(check())
    assert picture(place.world, place.path) == before
    after = {row["pk"]: row["sequence"] for row in place.rows.all() if "sequence" in row}
    assert after.items() <= sequences.items(), "a repair is no event"


def test_every_kind_of_damage_is_tested() -> None:
    code = (ROOT / "layers/atrium/atrium/store/fsck.py").read_text()
    named = set(re.findall(r'Damage\(\s*"(\w+)"', code))
    malformed = {f"{kind}_malformed" for kind in re.findall(r'_malformed\("(\w+)"', code)}
    assert named | malformed == {kind.partition(",")[0] for kind in DAMAGE}


def test_much_damage_at_once_is_repaired_in_one_run(place: Place, check: Callable[..., Any]) -> None:
    """Among it a project without its META: its members' rows, its records, its place in the list."""
    before = picture(place.world, place.path)
    doomed = place.world.new_project("Doomed")
    place.world.new_member(doomed, "viewer", "viewer")
    for kind, body in RECORDS.items():
        assert place.world("POST", f"{doomed}/{kind}", body).status == 201
    place.rows.delete(keys.project(place.tenant, last(doomed)))
    for kind in (
        "list_row_differs",
        "manager_not_a_member",
        "members_miscounted",
        "joined_row_differs",
        "purge_overdue",
    ):
        next(iter(DAMAGE[kind][1].values()))(place)
    summary = check(repair=True)
    assert summary["left"] == {}, summary["details"]
    assert summary["damage"] == {
        "joined_row_differs": 1,
        "list_row_differs": 1,
        "list_row_of_nothing": 1,
        "manager_not_a_member": 1,
        "members_miscounted": 1,
        "orphan": 6,
        "purge_overdue": 1,
    }
    assert clean(check())
    assert picture(place.world, place.path) == before
    assert not [row for row in place.rows.all() if last(doomed) in row["pk"] + row["sk"]]


def test_a_table_of_many_pages_is_checked_to_its_end(place: Place, check: Callable[..., Any]) -> None:
    for number in range(250):
        place.rows.put(Key(f"T#{place.tenant}#Z#{number}", "META"), {"ballast": "x" * 10_000})
    summary = check()
    assert (summary["complete"], summary["damage"]) == (True, {"unknown_key": 250})
    assert len(summary["details"]) == fsck.MAX_DETAILS
    assert sum(summary["rows"].values()) == len(place.rows.all())


def in_parts(check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rows: int, **event: Any) -> list[Any]:
    """The summaries of runs of which each has time for so many rows, and a few more where a place may not be told."""
    found: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(fsck, "MAX_BATCH", rows)
        while not found or found[-1]["after"] is not None:
            patch.setattr(checking, "deadline", lambda _: partial(next, iter([False]), True))
            found.append(check(**event, **({"after": found[-1]["after"]} if found else {})))
            assert len(found) < 1_000
    return found


def together(summaries: list[Any], name: str) -> dict[str, int]:
    return dict(sum((Counter(summary[name]) for summary in summaries), Counter()))


@pytest.mark.parametrize(("kind", "way"), CASES[:: full(9, 1)])
def test_runs_that_go_on_where_the_last_one_stopped_find_what_one_run_finds(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str, way: str
) -> None:
    DAMAGE[kind][1][way](place)
    whole = check()
    for rows in (1, 7, 50):
        parts = in_parts(check, monkeypatch, rows)
        assert len(parts) > sum(whole["rows"].values()) / rows / 4
        assert [part["complete"] for part in parts] == [False] * (len(parts) - 1) + [True]
        for name in ("rows", "damage", "left"):
            assert together(parts, name) == whole[name]
        assert [detail for part in parts for detail in part["details"]] == whole["details"]
        text = json.dumps([part["after"] for part in parts]).casefold()
        assert not re.search(r"@|acme\b|key#|owner|viewer|contributor", text)


def test_segments_find_together_what_one_run_finds(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("orphan", "list_row_missing", "members_miscounted", "purge_overdue", "directory_row_missing"):
        next(iter(DAMAGE[kind][1].values()))(place)
    whole = check()
    for rows in (10_000, 5):
        parts = [part for i in range(4) for part in in_parts(check, monkeypatch, rows, segment=i, segments=4)]
        assert sum(part["complete"] for part in parts) == 4
        assert sum(bool(part["rows"]) for part in parts) > 1
        for name in ("rows", "damage", "left"):
            assert together(parts, name) == whole[name]


def test_a_check_of_one_tenant_looks_at_its_rows_and_no_others(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rows.delete(place.listed)
    other = flat_id(place.world.dev["tenants"]["globex"]["tenant_id"])
    (foreign,) = (
        Key(r["pk"], r["sk"])
        for r in place.rows.all()
        if r["pk"].startswith(f"T#{other}#S#") and "name" in r and r["sk"].startswith("PROJECT#")
    )
    place.rows.delete(foreign)
    for tenant in (place.tenant, other):
        own = [
            row
            for row in place.rows.all()
            if row["pk"].startswith(f"T#{tenant}#") or row["sk"].startswith(f"{tenant}#") or row.get("tenant") == tenant
        ]
        for parts in ([check(tenant_id=v1_id(tenant))], in_parts(check, monkeypatch, 3, tenant_id=v1_id(tenant))):
            assert together(parts, "damage") == {"list_row_missing": 1}
            assert sum(together(parts, "rows").values()) == len(own)
            assert {"credential", "principal", "project"} <= together(parts, "rows").keys()


def test_a_check_of_one_tenant_gets_on_through_pages_without_a_row_of_its_own(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(400):
        place.rows.put(Key(f"T#{GHOST}#Z", f"{number}"), {"ballast": "x" * 20_000})
    tenant = v1_id(flat_id(place.world.dev["tenants"]["globex"]["tenant_id"]))
    whole = check(tenant_id=tenant)
    parts = in_parts(check, monkeypatch, 10_000, tenant_id=tenant)
    assert len(parts) > 1, "no batch was full, so it stopped behind a page without one"
    assert (together(parts, "rows"), parts[-1]["complete"]) == (whole["rows"], True)


def test_rows_of_any_make_are_survived(place: Place, check: Callable[..., Any]) -> None:
    """Numbers, sets and bytes that Atrium never writes, in the place of every attribute of a row."""
    client = boto3.client("dynamodb")
    values: list[Any] = [
        {"N": "1.5"},
        {"N": "1E+40"},
        {"SS": ["a"]},
        {"B": b"a"},
        {"L": [{"NS": ["1"]}]},
        {"NULL": True},
    ]
    targets = [place.listed, place.member("outsider"), place.joined("outsider"), place.person("outsider"), place.meta]
    targets += [place.email("owner@acme.example"), place.any("PURGE#"), place.any("KEY#"), replay(place)]
    for number, key in enumerate(targets):
        row = place.rows.get(key) or {}
        odd = {name: values[(number + position) % len(values)] for position, name in enumerate(row)}
        item = {**odd, "odd name": {"S": "x"}, **wire_key(key)}
        client.put_item(TableName=os.environ["TABLE_NAME"], Item=item)
    assert check(repair=True)["complete"]
    assert check(repair=True)["complete"]


def test_the_summary_holds_no_address_no_name_and_no_hash(place: Place, check: Callable[..., Any]) -> None:
    kinds = ["directory_row_differs", "directory_row_of_nobody", "unknown_key", "credential_of_nobody", "email_shared"]
    for kind in kinds:
        for seed in DAMAGE[kind][1].values():
            seed(place)
    place.rows.put(Key("KEY#sesame", "META"), {})
    hashes = [row["pk"].partition("#")[2] for row in place.rows.all() if row["pk"].startswith("KEY#")]
    summary = check()
    assert set(summary["damage"]) == set(kinds)
    text = json.dumps(summary, ensure_ascii=False).casefold()
    for secret in ("@", "acme", "mallory", "twin", "sesame", *hashes):
        assert secret not in text
    (detail,) = [detail for detail in summary["details"] if detail["kind"] == "credential_of_nobody"]
    (row,) = [row for row in place.rows.all() if row["pk"].startswith("KEY#") and row.get("principal") == GHOST]
    assert (detail["key"], detail["credential_id"]) == (["KEY#…", "META"], v1_id(row["id"]))


def test_the_summary_tells_which_change_is_there_in_part(place: Place, check: Callable[..., Any]) -> None:
    announced("decision.created", "ghost", place)
    assert check()["details"] == [
        {
            "kind": "change_in_part",
            "key": [*place.meta],
            "repairable": False,
            "event": "decision.created",
            "row": f"DECISION#{GHOST}",
        }
    ]


# ---------------------------------------------------------------- a table in use


@pytest.mark.parametrize("change", ["rename", "hand over", "delete", "join", "grant"])
def test_a_repair_leaves_alone_what_changes_meanwhile(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The change commits after the second look, right before the repair does."""
    world = place.world
    viewer = place.person("viewer")
    new = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    races: dict[str, tuple[str, Callable[[], Answer | None]]] = {
        "rename": ("list_row_differs", partial(world, "PATCH", place.path, {"name": "Renamed"})),
        "hand over": (
            "manager_demoted",
            partial(world, "PATCH", place.path, {"manager_id": world.uuid("contributor")}),
        ),
        "delete": ("list_row_differs", partial(world, "DELETE", place.path)),
        "join": ("members_miscounted", partial(world, "POST", f"{place.path}/members", new)),
        # No route does it yet, so by hand.
        "grant": ("space_member_differs", partial(place.rows.change, viewer, spaces={place.tenant: "contributor"})),
    }
    seed, request = races[change]
    next(iter(DAMAGE[seed][1].values()))(place)
    commit = Table.transact
    watched = [
        place.meta,
        place.listed,
        *map(place.member, ("owner", "contributor", "viewer")),
        place.in_space("viewer"),
    ]
    left: list[Any] = []

    def transact(table_: Table, writes: Any, token: str) -> None:
        monkeypatch.setattr(Table, "transact", commit)
        answer = request()
        assert answer is None or answer.status < 300
        left.extend(map(place.rows.get, watched))
        commit(table_, writes, token)

    monkeypatch.setattr(Table, "transact", transact)
    summary = check(repair=True)
    assert list(map(place.rows.get, watched)) == left
    assert [detail["done"] for detail in summary["details"]] == ["left, it has changed since"]
    assert (summary["repaired"], summary["left"]) == ({}, {seed: 1})
    check(repair=True)
    assert clean(check())


def test_what_is_different_at_the_second_look_is_no_damage(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a reader meets a transaction half-way, then whole; and then one who is always at work."""
    listed = place.rows.get(place.listed)
    assert listed is not None
    place.rows.delete(place.listed)
    monkeypatch.setattr(time, "sleep", lambda _: place.rows.put(place.listed, listed))
    assert clean(check())

    numbers = iter(range(100))
    monkeypatch.setattr(time, "sleep", lambda _: place.rows.change(place.listed, name=str(next(numbers))))
    place.rows.change(place.listed, name="other")
    summary = check(repair=True)
    assert (summary["damage"], summary["unsettled"], summary["complete"]) == ({}, 1, True)


def test_writers_at_work_raise_no_false_alarm_and_hide_no_damage(crowd: Crowd, template: Template) -> None:
    """Everything that changes rows in several places, purges too, in six threads, while the table is checked."""
    world, function = crowd.world, template.functions["Fsck"]
    place = furnish(world, Rows(crowd.client, TABLE_NAME))
    crowd.invoke(template.functions["Fsck"], {"repair": True})  # other tests leave rows of their own
    shared = world.new_project("Shared")
    done = threading.Event()
    statuses: list[int] = []

    def purge(row: Item) -> None:
        record = {"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": "1"}}
        assert crowd.invoke(template.functions["PurgeDeleted"], {"Records": [record]}) == {"batchItemFailures": []}

    def work(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            path = world.new_project(f"{number}-{turn}")
            member = world.new_member(path, "outsider", "viewer")
            task = world("POST", f"{path}/tasks", TASK).body["id"]
            flat = f"{flat_path(path)}/tasks/{flat_id(task)}"
            answers: list[Answer] = [
                world("POST", f"{flat}/notes", {"content": "Remember"}, key=new_key()),
                world("PATCH", path, {"name": "B", "manager_id": world.uuid("outsider")}),
                world("PATCH", shared, {"name": f"{number}-{turn}"}),
                world("POST", f"{shared}/tasks", TASK),
                world("DELETE", flat),
                world("PATCH", path, {"manager_id": world.uuid("owner")}),
                world("DELETE", member),
                world("DELETE", path),
            ]
            statuses.extend(answer.status for answer in answers)
            # As the stream brings it.
            deletion = place.rows.get(keys.purge(place.tenant, last(path)))
            assert deletion is not None
            purge(deletion)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        runs = 0
        while runs < full(6, 60) or len(statuses) < full(60, 600):
            assert all(thread.is_alive() for thread in threads)
            summary = crowd.invoke(function, {"repair": runs % 2 == 1})
            assert clean(summary), summary
            runs += 1
        place.rows.delete(place.listed)
        found = crowd.invoke(function, {"repair": True})
        assert (found["damage"], found["repaired"]) == ({"list_row_missing": 1}, {"list_row_missing": 1})
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not [row for row in place.rows.all() if "deleted_at" in row and row.get("name", "").startswith("B")]
    assert set(statuses) <= {200, 201, 204}
    assert clean(crowd.invoke(function, {}))


def test_a_table_that_does_not_answer_leaves_the_check_incomplete(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Table, "get_all", refuse)
    summary = check()
    assert (summary["complete"], summary["clean"]) == (False, False)


def test_a_check_out_of_time_says_that_it_is_incomplete(place: Place) -> None:
    summary = fsck.Check(table(), until=lambda: True).run()
    assert (summary["complete"], summary["clean"]) == (False, False)


# ---------------------------------------------------------------- what it is allowed


def test_its_permissions_are_what_it_uses_and_no_other_function_may_scan(
    traced: tuple[World, Trace], template: Template
) -> None:
    world, trace = traced
    place = furnish(world, Rows(boto3.client("dynamodb"), os.environ["TABLE_NAME"]))
    for kind in ("orphan", "list_row_missing", "members_miscounted", "purge_overdue"):
        next(iter(DAMAGE[kind][1].values()))(place)
    trace.clear()
    summary = trace.invoke(template.functions["Fsck"], {"repair": True})
    assert (summary["left"], len(summary["repaired"])) == ({}, 4)
    assert needless(of_its_calls(template, "Fsck"), trace.asked("Fsck")) == set()
    scanning = {name for name in template.functions if "dynamodb:Scan" in str(statements(template, name))}
    assert scanning == {"Fsck"}


# ---------------------------------------------------------------- the command


def command(directory: Path, *arguments: str, **environment: str) -> tuple[int, Any]:
    """Its status, and its summary if it gave one."""
    done = subprocess.run(
        [sys.executable, "-m", "local.fsck", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(directory), **environment},
        capture_output=True,
        text=True,
        timeout=NET,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@contextmanager
def instance(directory: Path) -> Iterator[World | None]:
    """`make run`, until its tenants are there."""
    environment = {**os.environ, "PORT": str(free_port()), "DATA_DIR": str(directory)}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.run"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )

    def is_ready() -> bool:
        assert process.poll() is None
        return (directory / "dev.json").exists()

    try:
        wait_for(is_ready)
        yield None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(NET)


def lose_a_space_member(directory: Path) -> str:
    """Its tenant."""
    with endpoints_of(directory, the_template()) as endpoints:
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoints["dynamodb"],
            aws_access_key_id=endpoints["access_key_id"],
            aws_secret_access_key="unused",
        )
        rows = Rows(client, TABLE_NAME)
        (key, *_) = [Key(r["pk"], r["sk"]) for r in rows.all() if "#S#" in r["pk"] and r["sk"] != "META"]
        rows.delete(key)
        return key.pk.split("#")[1]


def test_the_command_checks_and_repairs_an_instance_that_runs(tmp_path: Path) -> None:
    with instance(tmp_path):
        check_and_repair(tmp_path, partial(command, tmp_path, "--repair"))


def test_the_command_checks_and_repairs_an_instance_that_does_not_run(tmp_path: Path) -> None:
    with instance(tmp_path):
        pass
    check_and_repair(tmp_path, partial(command, tmp_path, REPAIR="1"))


def check_and_repair(directory: Path, repair: Callable[[], tuple[int, Any]]) -> None:
    tenant = lose_a_space_member(directory)
    status, summary = command(directory)
    assert (status, summary["left"]) == (1, {"space_member_missing": 1})
    status, summary = repair()
    assert (status, summary["repaired"], summary["left"]) == (0, {"space_member_missing": 1}, {})
    status, summary = command(directory)
    assert (status, summary["clean"], summary["damage"], summary["rows"]["principal"]) == (0, True, {}, 8)
    status, summary = command(directory, TENANT=v1_id(tenant))
    assert (status, summary["clean"], 0 < summary["rows"]["principal"] < 8) == (0, True, True)


def in_order(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary whose details are sorted by key. A check reads in the order of the table's hashed ids, by batches."""
    return {**summary, "details": sorted(summary["details"], key=lambda detail: detail["key"])}


def test_the_command_goes_on_until_all_is_checked(
    place: Place, template: Template, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("orphan", "list_row_missing", "members_miscounted"):
        next(iter(DAMAGE[kind][1].values()))(place)
    whole = in_order(check())
    monkeypatch.setattr(fsck, "MAX_BATCH", 7)
    monkeypatch.setattr(checking, "deadline", lambda _: partial(next, iter([False]), True))
    assert check()["after"] is not None
    assert in_order(checked(template.functions["Fsck"], {})) == whole
    assert checked(template.functions["Fsck"], {"repair": True})["left"] == {}


def test_the_command_ends_when_it_gets_no_further(
    place: Place, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Table, "get_all", refuse)
    summary = checked(template.functions["Fsck"], {})
    assert (summary["complete"], summary["clean"], summary["rows"]) == (False, False, {})


def test_the_command_says_what_it_cannot_check(tmp_path: Path) -> None:
    assert command(tmp_path / "nothing") == (2, f"{tmp_path / 'nothing'} holds no data of `make run`. Set DATA_DIR.\n")
    assert not (tmp_path / "nothing").exists()
    assert command(tmp_path, "--force") == (2, "The only argument is --repair.\n")
