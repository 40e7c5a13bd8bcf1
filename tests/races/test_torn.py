"""A restore may have only a part of a transaction. For each part of each write of the API, the check of the table finds
it, or this file says why it cannot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import combinations, islice
from typing import Any

import pytest

from atrium import keys
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.table import Item
from atrium.store.fsck import check as checks
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import RECORDS, World, new_key
from tests.support.requests import EVENTS, FLAT, WITHOUT_SECRETS, a_project
from tests.support.rows import Rows, clean, rows_here
from tests.support.world import Count, full

Check = Callable[..., Any]

# Of a webhook a restore has the row whole or not at all, and its stored answer names no row of it.
WRITES = {route: request for route, request in WITHOUT_SECRETS.items() if not EVENTS[route].startswith("webhook.")}

# Left for a person after a repair: a change that is announced and not there, or whose event is not there.
LEFT = {"change_in_part", "event_missing"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOMENT", 0)


@pytest.fixture
def check(template: Template) -> Check:
    return lambda **event: call(template.functions["Fsck"], event)


@pytest.fixture
def rows(world: World) -> Rows:
    return rows_here()


@dataclass(frozen=True)
class Written:
    """The change of one request: the table before and after, and the changed rows by kind. `root` is META of what
    counts the event, `row` the subject of the event below it."""

    event: str
    before: Mapping[Key, Item]
    after: Mapping[Key, Item]
    kinds: Mapping[Key, str]

    def in_part(self, present: tuple[Key, ...]) -> dict[Key, Item]:
        """The table with this part of the change."""
        mixed = {key: (self.after if key in present else self.before).get(key) for key in self.kinds}
        everything = {**self.after, **mixed}
        return {key: row for key, row in everything.items() if row is not None}


def table_of(rows: Rows) -> dict[Key, Item]:
    return {Key(row["pk"], row["sk"]): row for row in rows.all()}


def written_by(world: World, rows: Rows, route: str) -> Written:
    project = a_project(world)
    method, path, body = WRITES[route](world, project)
    # The last event of the project is then of something else.
    assert world("PATCH", project, {"description": {"summary": route}}).status == 200
    before = table_of(rows)
    assert world(method, path, body, key=new_key()).status in (200, 201, 202, 204)
    after = table_of(rows)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    kinds = {key: what.kind for key in changed if (what := keys.named(key))}
    assert len(kinds) == len(changed)
    numbers = {key: [rows.get(key, {}).get("sequence") for rows in (before, after)] for key in kinds}
    (meta,) = [key for key, (was, now) in numbers.items() if now != was and "last_events" in after[key]]
    below = {"note", *keys.RECORDS}
    event = after[keys.event(keys.tenant_of(meta.pk), after[meta]["last_events"][-1])]["type"]
    kinds[meta] = "root"
    # A person is found by each word of its name.
    names = [key for key, kind in kinds.items() if kind == "name"]
    kinds |= {key: f"name {number}" for number, key in enumerate(names)}
    if event.startswith("note."):
        kinds = {key: "counter" if kind == keys.RECORDS[0] else kind for key, kind in kinds.items()}
    kinds = {key: "row" if kind in below else kind for key, kind in kinds.items()}
    return Written(event, before, after, kinds)


def why_not_found(event: str, present: set[str], missing: set[str]) -> str | None:
    """Why a part of a change looks like a table without damage."""
    what = event.partition(".")[0]
    if "event" in missing and "root" in present:
        return None
    # An event without META that counts it has no number, and is shown as such; one that neither has is as before.
    present, missing = present - {"event"}, missing - {"event"}
    # The counter on a note's task is in its ETag and nowhere else.
    present, missing = present - {"counter"}, missing - {"counter"}
    if not present or not missing:
        return "A tag that changed once too often, or a note that is there under the tag from before."
    if missing == {"replay"}:
        return "The change is there. Sent again, the request is done again, like every one since the moment."
    if what not in ("project", "member", "principal") and "row" in present and "root" in missing:
        return "The change is there, and META does not count it: an event less, which no consumer could place anyway."
    if event == "task.deleted" and missing <= {"purge", "replay"}:
        return "There was no note to be purged, else that note is found."
    if what in ("tenant", "space", "space_member", "principal"):
        return why_not_found_of_the_tenant(what, present, missing)
    if event == "member.role_changed" and present <= {"member", "replay"} and "member" in present:
        return "The change is there, and META does not count it."
    if event == "project.updated" and present == {"member"}:
        return "The heir is a manager, as was meant; the project is not handed over yet, and so says META."
    if event == "project.created" and present == {"replay"}:
        return "A project that was created, deleted and purged leaves the same. It is found when the moment is told."
    return None


def why_not_found_of_the_tenant(what: str, present: set[str], missing: set[str]) -> str | None:
    if present == {"replay"}:
        return "The record does not say which space, principal or tenant it tells of."
    if what == "space_member" and missing <= {"root", "replay"}:
        return "The change is there, and META does not count it."
    return None


def test_each_restored_part_of_each_write_is_found_or_listed_as_undetectable(
    world: World, rows: Rows, check: Check, count: Count
) -> None:
    done: set[tuple[str, tuple[str, ...]]] = set()
    unused = table_of(rows)
    # Of the tenant whose rows change; the check of one tenant finds in its rows what the check of all finds.
    repaired = partial(check, repair=True, tenant_id=world.dev["tenants"]["acme"]["tenant_id"])
    for route in WRITES:
        # Without the projects of the routes before, which every check would read again.
        rows.restore(unused)
        written = written_by(world, rows, route)
        kind, happened = written.event.split(".")
        shape = (f"{'record' if kind in keys.RECORDS[1:] else kind}.{happened}", tuple(sorted(written.kinds.values())))
        if shape in done and not full(0, 1):
            continue
        done.add(shape)
        assert clean(check()), route
        # Of each second row: it alone, or all but it, in turn; every part under `make prove`.
        most = len(written.kinds) - 1
        one = (1, most)[len(done) % 2]
        for size in range(full(one, 1), full(one, most) + 1):
            for part in islice(combinations(written.kinds, size), len(done) // 2 % full(2, 1), None, full(2, 1)):
                rows.restore(written.in_part(part))
                present = {written.kinds[key] for key in part}
                missing = {*written.kinds.values()} - present
                found = repaired()
                count(parts=1, found=bool(found["damage"]))
                why = why_not_found(written.event, present, missing)
                assert bool(found["damage"]) == (why is None), (route, present, missing, found["damage"])
                if found["damage"]:
                    # Damage that a repair lays bare is repaired by the next one.
                    assert repaired()["left"].keys() <= LEFT, (route, present, missing)


def test_request_with_record_but_change_lost_in_a_restore_is_performed_again(
    world: World, rows: Rows, check: Check
) -> None:
    project = a_project(world)
    before = table_of(rows)
    request = ("POST", f"{project}/decisions", RECORDS["decisions"])
    lost = world(*request, key="sent-again")
    assert lost.status == 201
    rows.restore(before | {key: row for key, row in table_of(rows).items() if "#I#" in key.pk})
    assert world(*request, key="sent-again").seen == lost.seen
    found = check(repair=True)
    assert (found["damage"], found["repaired"]) == ({"replay_of_nothing": 1}, {"replay_of_nothing": 1})
    assert clean(check())
    again = world(*request, key="sent-again")
    assert (again.status, again.replayed) == (201, False)
    assert world("GET", f"{project}/decisions/{again.body['id']}").body == again.body


def test_record_of_a_missing_project_is_found_only_near_the_restore(world: World, rows: Rows, check: Check) -> None:
    lost = world("POST", "/projects", FLAT, key="sent-again")
    record = {key: row for key, row in table_of(rows).items() if "#I#" in key.pk}
    rows.restore({key: row for key, row in table_of(rows).items() if lost.body["_id"] not in f"{key}"} | record)
    now = datetime.now(UTC)
    assert clean(check())
    assert clean(check(restored_to=timestamp(now + timedelta(hours=1)), repair=True))
    moment = timestamp(now + timedelta(minutes=1))
    assert check(restored_to=moment)["left"] == {"replay_of_nothing": 1}
    assert check(restored_to=moment, repair=True)["repaired"] == {"replay_of_nothing": 1}
    again = world("POST", "/projects", FLAT, key="sent-again")
    assert (again.status, again.replayed) == (201, False)
    assert world("GET", f"/projects/{again.body['_id']}").status == 200
    assert clean(check(restored_to=moment))


def test_record_of_a_later_changed_or_deleted_item_is_no_damage(world: World, check: Check) -> None:
    """After later changes of the row, its deletion, and the deletion of the project around it."""
    project = a_project(world)
    made = world("POST", f"{project}/decisions", RECORDS["decisions"], key=new_key()).body
    decision = f"{project}/decisions/{made['id']}"
    member = f"{project}/members/{world.uuid('viewer')}"
    for number in range(3):
        assert world("PATCH", decision, {"description": f"Go {number}"}, key=new_key()).status == 200
        assert world("DELETE", member, key=new_key()).status == 204
        world.new_member(project, "viewer", "viewer")
        assert clean(check()), number
    assert world("DELETE", decision, key=new_key()).status == 204
    assert clean(check())
    assert world("DELETE", project, key=new_key()).status == 204
    assert clean(check())
    assert clean(check(restored_to=timestamp(datetime.now(UTC))))


def test_time_of_a_restore_without_offset_is_refused(world: World, check: Check) -> None:
    for wrong in ("2026-11-22T10:00:00", "yesterday"):
        with pytest.raises(FunctionFailed, match="restored_to"):
            check(restored_to=wrong)
