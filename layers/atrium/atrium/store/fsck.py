"""The check of the whole table: every rule that transactions keep, held against what is there.

One pass over the keys. Each row is read, with the rows that belong to it, and answers for itself and for those that
should be there because of it; so a damage is found at one row only, and the check remembers no more than a page.

The table is in use meanwhile, and rows that are read one after the other may come from before and after a change. So
damage counts only when a second look, a moment later, finds the very same rows: a change would have left another
`sequence` on META, or another row. For the same reason a repair is one transaction that holds every row it rests on
as it was seen. It leaves `sequence` and `last_event` alone: the stream would publish an event. What cannot be told
from the table (whose a credential is, what a malformed row meant) is reported and left to a person.

A table restored to a moment may have a part of what was written just before it: decision 0019 says which parts are
found.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from atrium import documents, keys
from atrium.errors import Unavailable
from atrium.ids import is_id, to_uuid
from atrium.keys import Key
from atrium.models import timestamp
from atrium.permissions import Role
from atrium.store.engine.scope import scope
from atrium.store.engine.table import (
    MAX_BATCH,
    ConditionFailed,
    Item,
    Range,
    Table,
    Write,
    starting_with,
)
from atrium.store.engine.wire import expressions, wire_item, wire_key
from atrium.store.forms import is_formed
from atrium.store.projects import MAX_MEMBERS, list_row, row_of, to_project
from atrium.store.purge import Deletion, NotDeleted, Purge, Unreadable
from atrium.text import address, findable

# The purge follows a deletion within seconds, and the sweep within an hour or so. Later than this, both have failed.
OVERDUE_AFTER = timedelta(hours=2)

# Seconds from one look to the next: longer than any change is on its way through the table.
MOMENT = 0.5

# How often a row that looks damaged, but each time differently, is looked at. Somebody is at work on it.
_LOOKS = 4

# How many findings a summary tells in detail.
MAX_DETAILS = 100

# How many letters of a name or an address a place in the directory may show.
_LETTERS = 3

# A change that a restored table has a part of was made not longer than this before its moment.
TORN_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Damage:
    """`at` is the row that is damaged, `seen` the rows that show it, None for those that are not there.

    The repair makes rows those of `wanted` (None: no row), all of which have been seen; or it is the purge of a
    deletion. Without either the damage is only reported.
    """

    kind: str
    at: Key
    seen: Mapping[Key, Item | None]
    wanted: Mapping[Key, Item | None] = field(default_factory=dict)
    deletion: Deletion | None = None

    @property
    def repair(self) -> str | None:
        """What the repair does, in a word."""
        if self.deletion is not None:
            return "purged"
        if not self.wanted:
            return None
        return "deleted" if all(row is None for row in self.wanted.values()) else "written"


# One row's judgement: yields keys and ranges, is sent what stands there, and returns what is wrong.
Judgement = Generator[Sequence[Key | Range], Sequence[Any], list[Damage]]


class Check:
    """One run over a table, or over what is behind the row `after`: in the order of the table, which stays the same.

    `segment` (i, n) is the part of the table that it looks at, `tenant` the one tenant. `until` says when it is time to
    stop, `restored_to` to which moment the table was restored.
    """

    def __init__(
        self,
        table: Table,
        *,
        repair: bool = False,
        until: Callable[[], bool] = lambda: False,
        overdue_after: timedelta = OVERDUE_AFTER,
        restored_to: datetime | None = None,
        after: Key | None = None,
        segment: tuple[int, int] | None = None,
        tenant: str | None = None,
    ) -> None:
        self._table = table
        self._after = after
        self._segment = segment
        self._tenant = tenant
        self._stopped_at: Key | None = None
        self._repairs = repair
        self._until = until
        self._overdue = timestamp(datetime.now(UTC) - overdue_after)
        self._torn_since = timestamp(restored_to - TORN_WITHIN) if restored_to else None
        self._complete = False
        self._rows: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._repaired: Counter[str] = Counter()
        self._unsettled = 0
        self._details: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """The summary: see `summary`. A table that does not answer, or too little time, leaves it incomplete."""
        with suppress(Unavailable):
            self._pass()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """As JSON: whether it came to the end of the table, and else the row behind which the next run goes on; whether
        nothing is left of what was found, how many rows by kind, how much damage was found, repaired and left by kind,
        how many rows changed too often to be judged, and the first findings. No e-mail address, name, secret or hash of
        one.
        """
        left = self._found - self._repaired
        return {
            "complete": self._complete,
            "after": None if self._complete or self._after is None else list(self._after),
            "clean": self._complete and not left,
            "rows": _sorted(self._rows),
            "damage": _sorted(self._found),
            "repaired": _sorted(self._repaired),
            "left": _sorted(left),
            "unsettled": self._unsettled,
            "details": self._details,
        }

    # ------------------------------------------------------------ the pass

    def _pass(self) -> None:
        """Checks row after row. One that is checked is done with, so a run may end behind any of them, and another go
        on there: behind the first one after its time where that can be told."""
        is_late = self._until()
        if is_late:
            return
        rows, waiting = self._scan(), list[Key]()
        key = next(rows, None)
        while key is not None:
            waiting.append(key)
            following = next(rows, None)
            place = _place(key, following)
            if len(waiting) >= MAX_BATCH or following is None or (is_late and place):
                self._check(waiting)
                waiting = []
                self._after = place or self._after
                is_late = is_late or self._until()
                if is_late and place and following is not None:
                    return
            key = following
        self._after, self._complete = self._stopped_at, self._stopped_at is None

    def _scan(self) -> Iterator[Key]:
        """The keys of the table. With one tenant's alone there may be pages without any, and no end of them."""
        after = self._after
        while True:
            with scope(None, everything=True):
                page, after = self._table.scan_keys(after, self._segment, self._tenant)
            yield from page
            if after is None:
                return
            if not page and keys.redacted(after) == after and self._until():
                self._stopped_at = after
                return

    def _check(self, wanted: Sequence[Key]) -> None:
        suspected = self._look(wanted)
        self._rows.update(_kind(key) for key in wanted)
        for _ in range(_LOOKS - 1):
            if not suspected:
                return
            time.sleep(MOMENT)
            again = self._look(list(dict.fromkeys(damage.at for damage in suspected)))
            for damage in again:
                if damage in suspected:
                    self._settle(damage)
            suspected = [damage for damage in again if damage not in suspected]
        self._unsettled += len(suspected)

    def _look(self, wanted: Sequence[Key]) -> list[Damage]:
        """What is wrong at the rows. All judgements advance together, so that what they ask for is read at once."""
        found: list[Damage] = []
        with scope(None, everything=True):
            judgements = [_judgement(key, self._overdue, self._torn_since) for key in wanted]
            asking = [(judgement, next(judgement)) for judgement in judgements]
            while asking:
                rows = self._read({place for _, places in asking for place in places})
                going_on = []
                for judgement, places in asking:
                    try:
                        going_on.append((judgement, judgement.send([rows[place] for place in places])))
                    except StopIteration as judged:
                        found += judged.value
                asking = going_on
        return found

    def _read(self, places: set[Key | Range]) -> dict[Key | Range, Any]:
        """The item, or None, of each key, and the items of each range."""
        single = [place for place in places if isinstance(place, Key)]
        ranges = [place for place in places if isinstance(place, Range)]
        batches = [single[position : position + MAX_BATCH] for position in range(0, len(single), MAX_BATCH)]
        calls: list[Callable[[], Any]] = [partial(self._table.get_all, batch) for batch in batches]
        results = self._table.together(calls + [partial(self._table.query, wanted) for wanted in ranges])
        rows: dict[Key | Range, Any] = dict.fromkeys(single)
        for items in results[: len(batches)]:
            rows |= items
        return rows | dict(zip(ranges, results[len(batches) :], strict=True))

    # ------------------------------------------------------------ repairing

    def _settle(self, damage: Damage) -> None:
        """Counts a damage, and repairs it if that is wanted."""
        self._found[damage.kind] += 1
        done = self._repair(damage) if self._repairs and damage.repair else None
        if done and done == damage.repair:
            self._repaired[damage.kind] += 1
        if len(self._details) < MAX_DETAILS:
            detail = {
                "kind": damage.kind,
                "key": list(keys.redacted(damage.at)),
                "repairable": damage.repair is not None,
            }
            self._details.append(detail | _known_as(damage) | ({"done": done} if done else {}))

    def _repair(self, damage: Damage) -> str:
        """What was done. One repair that fails does not stop the others."""
        try:
            if damage.deletion is not None:
                return "purged" if Purge(self._table, damage.deletion).run(self._until) else "purged in part"
            with scope(None, everything=True):
                self._table.transact(list(_writes(damage)), str(uuid4()))
        except (ConditionFailed, NotDeleted):
            return "left, it has changed since"
        except Unavailable:
            raise
        except Exception as error:
            return f"left, {type(error).__name__}"
        return str(damage.repair)


def _place(key: Key, following: Key | None) -> Key | None:
    """A place behind a row and before the one that follows, as it may be told; None where none may. In the directory it
    is a few letters, which are no name and no address."""
    if keys.redacted(key) == key:
        return key
    if following is None or following.pk != key.pk:
        return None
    if key.pk.startswith(keys.CREDENTIAL_PREFIX):
        return None
    beginnings = (following.sk[:length] for length in range(1, len(keys.EMAIL) + _LETTERS + 1))
    return next((Key(key.pk, sk) for sk in beginnings if key.sk < sk < following.sk), None)


def _known_as(damage: Damage) -> dict[str, str]:
    """Names a person can find it by: of a credential, whose key is not shown, its id; of a change, the event and the
    row that should show it."""
    if damage.kind == "change_in_part":
        meta, changed = damage.seen.items()
        return {"event": (meta[1] or {})["last_event"]["type"], "row": changed[0].sk}
    id = (damage.seen[damage.at] or {}).get("id")
    if _kind(damage.at) == "credential" and isinstance(id, str) and is_id(id):
        return {"credential_id": to_uuid(id)}
    return {}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _kind(key: Key) -> str:
    what = keys.named(key)
    return what.kind if what else "unknown"


def _writes(damage: Damage) -> Iterator[Write]:
    """Holds each row as it was seen, and makes those that are wanted otherwise what they should be."""
    for key, row in damage.seen.items():
        wanted = damage.wanted.get(key, row)
        changes = {name: value for name, value in (wanted or {}).items() if (row or {}).get(name) != value}
        when, values = _as_seen(row)
        action, update = "ConditionCheck", None
        request: dict[str, Any] = {"Key": wire_key(key)}
        if row is not None and wanted is None:
            action = "Delete"
        elif row is None and wanted is not None:
            action, request = "Put", {"Item": wire_item({"pk": key.pk, "sk": key.sk, **wanted})}
        elif changes:
            action, update = "Update", "SET " + ", ".join(f"#{name} = :new_{name}" for name in changes)
            values |= {f"new_{name}": value for name, value in changes.items()}
        yield Write(action, request | expressions(values, UpdateExpression=update, ConditionExpression=when))


def _as_seen(row: Item | None) -> tuple[str, Item]:
    """The condition that a row is as it was seen, and the values in it.

    Every change of a project, or below it, raises META's `sequence`; a repair of its other fields does not, so one
    does not keep the next from being made.
    """
    if row is None:
        return "attribute_not_exists(#pk)", {}
    if isinstance(row.get("sequence"), int):
        return "#sequence = :sequence", {"sequence": row["sequence"]}
    values = {
        name: value
        for name, value in row.items()
        if _is_comparable(value) and name.isidentifier() and name not in ("pk", "sk")
    }
    return " AND ".join(["attribute_exists(#pk)", *(f"#{name} = :{name}" for name in values)]), values


def _is_comparable(value: Any) -> bool:
    """Whether it goes back to the table as it came, whoever wrote it. Sets come as lists, fractions as Decimals."""
    return isinstance(value, str | int) or (isinstance(value, dict) and all(map(_is_comparable, value.values())))


# ---------------------------------------------------------------- judgements


def _judgement(key: Key, overdue: str, torn_since: str | None) -> Judgement:
    what = keys.named(key)
    if what is None:
        return _unknown(key)
    ids = what.ids
    match what.kind:
        case "project":
            return _project(key, overdue)
        case "purge":
            return _queued(key, overdue, **ids)
        case "replay":
            return _replay(key, ids["tenant"], torn_since)
        case "space":
            return _space(key, **ids)
        case "pulse":
            return _pulse(key)
        case kind if kind in keys.RECORDS:
            return _record(key, kind, ids["tenant"], ids["project"], ids["record"])
        case kind:
            return _JUDGED[kind](key, **ids)


def _unknown(key: Key) -> Judgement:
    (row,) = yield [key]
    if row and key.pk.startswith(keys.PURGE_PREFIX):
        return [Damage("queue_row_malformed", key, {key: row}, {key: None})]  # of which no purge will ever come
    return [Damage("unknown_key", key, {key: row})] if row else []


def _space(key: Key, space: str, **_: str) -> Judgement:
    """A row that nothing else says anything about."""
    (row,) = yield [key]
    return _malformed("space", key, row) if row and not _is_right("space", row, id=space) else []


def _pulse(key: Key) -> Judgement:
    """The same, and the next sweep writes it anew."""
    (row,) = yield [key]
    return _malformed("pulse", key, row) if row and not _is_right("pulse", row) else []


def _replay(key: Key, tenant: str, torn_since: str | None) -> Judgement:
    """The change that an idempotency record was written with is there, or a later one may have undone it. Without the
    record the request is done when it comes again."""
    (row,) = yield [key]
    if row is None:
        return []
    if not _is_right("replay", row):
        return _malformed("replay", key, row)
    change = row.get("change")
    if change is None:
        return []  # of a request that changed no project
    meta_key = keys.project(tenant, change["project"])
    changed_key = Key(meta_key.pk, change["row"])
    meta, changed = yield [meta_key, changed_key]
    seen = {key: row, meta_key: meta, changed_key: changed}
    lost = [Damage("replay_of_nothing", key, seen, {key: None})]
    if meta is None:
        # A project that was created, deleted and purged leaves the same; but not within moments.
        is_new = change["row"] == keys.META and change["sequence"] == 1
        return lost if is_new and torn_since is not None and change["at"] >= torn_since else []
    if not _is_alive(meta) or _is_as_changed(changed, change.get("at")):
        return []
    # Ids come once, but for a member's, who may have come back.
    is_final = "at" not in change and not change["row"].startswith(keys.ROLE)
    return lost if is_final or meta["sequence"] <= change["sequence"] else []


def _project(key: Key, overdue: str) -> Judgement:
    (meta,) = yield [key]
    if meta is None:
        return []
    if not _is_project(meta):
        return _malformed("project", key, meta)
    if "deleted_at" in meta:
        return (yield from _tombstone(key, meta, overdue))
    found = (yield from _listing(key, meta)) + (yield from _membership(key, meta))
    found += yield from _last_change(key, meta)
    return found + (yield from _bareness(key, meta)) if meta.get("bare") else found


def _last_change(key: Key, meta: Item) -> Judgement:
    """The row that the project's last event is about is as that change left it: nothing below has changed since."""
    event = meta["last_event"]
    try:
        changed, at = row_of(event["type"], documents.parse(event["resource"]), event["time"])
    except (KeyError, TypeError, ValueError):
        return _malformed("project", key, meta)
    if changed == keys.META:
        return []
    changed_key = Key(key.pk, changed)
    (row,) = yield [changed_key]
    return [] if _is_as_changed(row, at) else [Damage("change_in_part", key, {key: meta, changed_key: row})]


def _tombstone(key: Key, meta: Item, overdue: str) -> Judgement:
    """A deleted project is in the purge queue; how long it is there, the row of the queue answers for."""
    deletion = Deletion(meta["tenant"], meta["id"], None, meta["space"], meta["deleted_at"])
    (row,) = yield [deletion.queued]
    if row is not None:
        return []
    seen = {key: meta, deletion.queued: None}
    if deletion.deleted_at <= overdue:
        return [Damage("deletion_not_queued", key, seen, deletion=deletion)]
    queued = {name: value for name, value in vars(deletion).items() if value is not None}
    return [Damage("deletion_not_queued", key, seen, {deletion.queued: queued})]


def _listing(key: Key, meta: Item) -> Judgement:
    listed = keys.space_project(meta["tenant"], meta["space"], meta["id"])
    space, row = yield [keys.space(meta["tenant"], meta["space"]), listed]
    if space is None:
        return [Damage("project_in_no_space", key, {key: meta, keys.space(meta["tenant"], meta["space"]): None})]
    wanted = list_row(to_project(meta))
    if row is None:
        return [Damage("list_row_missing", key, {key: meta, listed: None}, {listed: wanted})]
    if _differs({"bare": False, **row}, wanted):
        return [Damage("list_row_differs", key, {key: meta, listed: row}, {listed: {**row, **wanted}})]
    return []


def _membership(key: Key, meta: Item) -> Judgement:
    """The named manager is a member as that, and the members are as many as META says."""
    tenant, project, manager = meta["tenant"], meta["id"], meta["manager"]
    member, mine = keys.member(tenant, project, manager), keys.principal_project(tenant, manager, project)
    # There may be more than a project may have, if anybody else wrote them.
    every = starting_with(key.pk, keys.ROLE, None, 10 * MAX_MEMBERS, megabytes=10)
    rows, person, joined = yield [every, keys.principal(tenant, manager), mine]
    members = {at: row for at, row in ((Key(row["pk"], row["sk"]), row) for row in rows) if _kind(at) == "member"}
    row = members.get(member)
    found: list[Damage] = []
    if person is None and row is None:
        found.append(Damage("manager_unknown", key, {key: meta, keys.principal(tenant, manager): None}))
    elif row is None:
        moments = dict.fromkeys(("created_at", "updated_at"), meta["created_at"])
        # A membership that there was not yet, and the same one each time that this is looked at.
        id = meta["last_event"]["id"]
        wanted = {"id": id, "principal": manager, "role": Role.MANAGER.key, **moments, "version": 1}
        seen = {key: meta, member: None, mine: joined}
        found.append(Damage("manager_not_a_member", key, seen, {member: wanted, mine: _joined(meta)}))
    elif _is_right("member", row, principal=manager) and row["role"] != Role.MANAGER.key:
        wanted = {**row, "role": Role.MANAGER.key, "version": row["version"] + 1}
        found.append(Damage("manager_demoted", key, {key: meta, member: row}, {member: wanted}))
    # With the row that a missing manager gets.
    count = len(members) + (row is None and person is not None)
    if meta["members"] != count:
        found.append(Damage("members_miscounted", key, {key: meta}, {key: {**meta, "members": count}}))
    return found


def _bareness(key: Key, meta: Item) -> Judgement:
    """Nobody would see the tasks and the members of a project that is called bare."""
    listed = keys.space_project(meta["tenant"], meta["space"], meta["id"])
    members, tasks = starting_with(key.pk, keys.ROLE, None, 2), starting_with(key.pk, keys.TASK, None, 1)
    team, work, row = yield [members, tasks, listed]
    if not work and all(each["sk"] == keys.ROLE + meta["manager"] for each in team):
        return []
    seen = {key: meta, listed: row} if row else {key: meta}
    return [Damage("bare_with_more", key, seen, {at: {**row, "bare": False} for at, row in seen.items()})]


def _member(key: Key, tenant: str, project: str, principal: str) -> Judgement:
    meta_key, mine = keys.project(tenant, project), keys.principal_project(tenant, principal, project)
    row, meta = yield [key, meta_key]
    if row is None:
        return []
    if meta is None:
        (joined,) = yield [mine]
        return [Damage("orphan", key, {key: row, meta_key: None, mine: joined}, {key: None, mine: None})]
    if not _is_alive(meta):
        return []
    joined, person = yield [mine, keys.principal(tenant, principal)]
    if not _is_right("member", row, principal=principal):
        return _malformed("member", key, row)
    if person is None:
        return [Damage("member_unknown", key, {key: row, keys.principal(tenant, principal): None})]
    if joined is None:
        return [Damage("joined_row_missing", key, {key: row, meta_key: meta, mine: None}, {mine: _joined(meta)})]
    return []


def _principal_project(key: Key, tenant: str, principal: str, project: str) -> Judgement:
    meta_key, member_key = keys.project(tenant, project), keys.member(tenant, project, principal)
    row, member, meta = yield [key, member_key, meta_key]
    is_alive = meta is not None and _is_alive(meta)
    if row is None or (meta is not None and "deleted_at" not in meta and not is_alive):
        return []
    if member is None and is_alive and meta["manager"] == principal:
        return []  # for a named manager who is no member META answers
    if member is None:
        return [Damage("joined_row_of_nobody", key, {key: row, member_key: None, meta_key: meta}, {key: None})]
    if not is_alive or not _differs(row, _joined(meta)):
        return []
    # A project in a space that is not there is reported; this row may be the one that is right.
    (space,) = yield [keys.space(tenant, meta["space"])]
    wanted = {**row, **_joined(meta)}
    return [Damage("joined_row_differs", key, {key: row, meta_key: meta}, {key: wanted})] if space else []


def _record(key: Key, kind: str, tenant: str, project: str, record: str) -> Judgement:
    meta_key = keys.project(tenant, project)
    row, meta = yield [key, meta_key]
    if row is None:
        return []
    if meta is None:
        return [Damage("orphan", key, {key: row, meta_key: None}, {key: None})]
    return _malformed("record", key, row) if _is_alive(meta) and not _is_right(kind, row, id=record) else []


def _note(key: Key, tenant: str, project: str, task: str, note: str) -> Judgement:
    meta_key, task_key = keys.project(tenant, project), keys.record(tenant, project, "task", task)
    queued_key = keys.purge(tenant, project, task)
    row, meta, found, queued = yield [key, meta_key, task_key, queued_key]
    if row is None:
        return []
    if meta is None:
        return [Damage("orphan", key, {key: row, meta_key: None}, {key: None})]
    if not _is_alive(meta):
        return []
    if found is None and queued is None:
        # Nobody can add a note to a task that is not there, so there is nothing to wait for.
        return [Damage("note_of_nothing", key, {key: row, task_key: None, queued_key: None}, {key: None})]
    return [] if _is_right("note", row, id=note) else _malformed("note", key, row)


def _space_project(key: Key, tenant: str, space: str, project: str) -> Judgement:
    meta_key = keys.project(tenant, project)
    row, meta = yield [key, meta_key]
    if row is None or (meta is not None and not _is_project(meta)):
        return []
    if meta is None:
        return [Damage("list_row_of_nothing", key, {key: row, meta_key: None}, {key: None})]
    if "deleted_at" in meta:
        return [Damage("list_row_of_deleted", key, {key: row, meta_key: meta}, {key: None})]
    if meta["space"] == space:
        return []
    # In another space; if that is not there either, this row may be the one that is right.
    (elsewhere,) = yield [keys.space(tenant, meta["space"])]
    return [Damage("list_row_of_nothing", key, {key: row, meta_key: meta}, {key: None})] if elsewhere else []


def _space_member(key: Key, tenant: str, space: str, principal: str) -> Judgement:
    person_key = keys.principal(tenant, principal)
    row, person = yield [key, person_key]
    if row is None or (person is not None and not _is_right("principal", person, id=principal)):
        return []
    seen = {key: row, person_key: person}
    if person is None or space not in person["spaces"]:
        return [Damage("space_member_of_nobody", key, seen, {key: None})]
    wanted = _in_space(person, space) | {"created_at": row.get("created_at", person["created_at"])}
    return [Damage("space_member_differs", key, seen, {key: {**row, **wanted}})] if _differs(row, wanted) else []


def _principal(key: Key, tenant: str, principal: str) -> Judgement:
    (person,) = yield [key]
    if person is None:
        return []
    if not _is_right("principal", person, id=principal):
        return _malformed("principal", key, person)
    return (yield from _roles(key, tenant, person)) + (yield from _findable(key, tenant, person))


def _roles(key: Key, tenant: str, person: Item) -> Judgement:
    """What the principal's map of spaces says, the spaces list too."""
    spaces = {keys.space(tenant, id): keys.space_member(tenant, id, person["id"]) for id in person["spaces"]}
    there = yield list(spaces)
    rows = yield list(spaces.values())
    found: list[Damage] = []
    for (space_key, member_key), space, row in zip(spaces.items(), there, rows, strict=True):
        if space is None:
            found.append(Damage("role_in_no_space", key, {key: person, space_key: None}))
        elif row is None:
            wanted = _in_space(person, space["id"])
            found.append(Damage("space_member_missing", key, {key: person, member_key: None}, {member_key: wanted}))
    return found


def _findable(key: Key, tenant: str, person: Item) -> Judgement:
    """The principal stands in the directory, under its e-mail address and each place its name is found by."""
    email_key = keys.email(tenant, address(person["email"]))
    name_keys = [keys.name(tenant, words, person["id"]) for words in findable(person["name"])]
    row, *named = yield [email_key, *name_keys]
    entry = _entry(person)
    missing = [name_key for name_key, there in zip(name_keys, named, strict=True) if there is None]
    found = [Damage("directory_row_missing", key, {key: person, at: None}, {at: entry}) for at in missing]
    if row is None:
        return [*found, Damage("directory_row_missing", key, {key: person, email_key: None}, {email_key: entry})]
    if row.get("principal") == person["id"] or not isinstance(row.get("principal"), str):
        return found
    other_key = keys.principal(tenant, row["principal"])
    (other,) = yield [other_key]
    if other is not None and _is_right("principal", other) and address(other["email"]) == address(person["email"]):
        return [*found, Damage("email_shared", key, {key: person, email_key: row, other_key: other})]
    seen = {key: person, email_key: row}
    return [*found, Damage("directory_row_missing", key, seen, {email_key: {**row, **entry}})]


def _email(key: Key, tenant: str, email: str) -> Judgement:
    (row,) = yield [key]
    if row is None:
        return []
    principal = row.get("principal")
    if not isinstance(principal, str):
        return [Damage("directory_row_of_nobody", key, {key: row}, {key: None})]
    return (yield from _entered(key, row, tenant, principal, lambda person: address(person["email"]) == email))


def _name(key: Key, tenant: str, words: str, principal: str) -> Judgement:
    (row,) = yield [key]
    if row is None:
        return []
    return (yield from _entered(key, row, tenant, principal, lambda person: words in findable(person["name"])))


def _entered(key: Key, row: Item, tenant: str, principal: str, belongs: Callable[[Item], bool]) -> Judgement:
    """A row of the directory is of a principal whose own place this is, and repeats what it is called."""
    person_key = keys.principal(tenant, principal)
    (person,) = yield [person_key]
    seen = {key: row, person_key: person}
    if person is not None and not _is_right("principal", person, id=principal):
        return []
    if person is None or not belongs(person):
        return [Damage("directory_row_of_nobody", key, seen, {key: None})]
    entry = _entry(person)
    return [Damage("directory_row_differs", key, seen, {key: {**row, **entry}})] if _differs(row, entry) else []


def _credential(key: Key, sha256: str) -> Judgement:
    (row,) = yield [key]
    if row is None:
        return []
    if not _is_right("credential", row):
        return _malformed("credential", key, row)
    person_key = keys.principal(row["tenant"], row["principal"])
    listed_key = keys.principal_credential(row["tenant"], row["principal"], row["id"])
    person, listed = yield [person_key, listed_key]
    if person is None:
        return [Damage("credential_of_nobody", key, {key: row, person_key: None})]
    if listed is None or sha256 not in (listed.get("sha256"), listed.get("previous")):
        # It opens the door and nobody would find it, to rotate or to revoke it. Whether it should, a person must say.
        return [Damage("credential_unlisted", key, {key: row, listed_key: listed})]
    return []


def _principal_credential(key: Key, credential: str, **_: str) -> Judgement:
    (row,) = yield [key]
    if row is None:
        return []
    if not _is_right("principal_credential", row, id=credential):
        return _malformed("principal_credential", key, row)
    digests = [keys.credential(row[name]) for name in ("sha256", "previous") if name in row]
    secrets = yield digests
    lost = [secret_key for secret_key, secret in zip(digests, secrets, strict=True) if secret is None]
    return [Damage("credential_lost", key, {key: row, lost[0]: None})] if lost else []


def _queued(key: Key, overdue: str, tenant: str, project: str, task: str | None = None) -> Judgement:
    about = keys.record(tenant, project, "task", task) if task else keys.project(tenant, project)
    row, deleted = yield [key, about]
    if row is None:
        return []
    try:
        deletion = Deletion.of(row)
    except Unreadable:
        return _unreadable(key, row, about, deleted, Deletion(tenant, project, task, None, overdue))
    if deleted is not None and "deleted_at" not in deleted:
        # It must never be purged. The purge refuses it too; this ends its trying.
        return [Damage("queue_row_of_living", key, {key: row, about: deleted}, {key: None})]
    if deletion.deleted_at <= overdue:
        return [Damage("purge_overdue", key, {key: row}, deletion=deletion)]
    return []


def _unreadable(key: Key, row: Item, about: Key, deleted: Item | None, deletion: Deletion) -> list[Damage]:
    """A row of the queue that does not say what was deleted; where it stands, and what is left of that, say it. The
    purge takes the row with it."""
    seen = {key: row, about: deleted}
    if deletion.queued == key and deletion.task is None and deleted is not None and "deleted_at" in deleted:
        if not _is_project(deleted):
            return _malformed("queue_row", key, row)
        return [Damage("queue_row_malformed", key, seen, deletion=replace(deletion, space=deleted["space"]))]
    if deletion.queued == key and deletion.task is not None and deleted is None:
        return [Damage("queue_row_malformed", key, seen, deletion=deletion)]
    return [Damage("queue_row_malformed", key, seen, {key: None})]


_JUDGED: Mapping[str, Callable[..., Judgement]] = {
    "member": _member,
    "note": _note,
    "principal": _principal,
    "principal_project": _principal_project,
    "space_project": _space_project,
    "space_member": _space_member,
    "email": _email,
    "name": _name,
    "credential": _credential,
    "principal_credential": _principal_credential,
}


# ---------------------------------------------------------------- parts


def _malformed(kind: str, key: Key, row: Item) -> list[Damage]:
    return [Damage(f"{kind}_malformed", key, {key: row})]


def _is_right(kind: str, row: Item, **own: str | None) -> bool:
    """Whether the row has its kind's form, and the ids of its key in it."""
    return is_formed(kind, row) and all(row[name] == id for name, id in own.items() if id is not None)


def _is_alive(meta: Item) -> bool:
    """Whether something can be said by a project's META: not of one deleted, whose rows the purge takes, nor of one
    malformed, which is reported itself."""
    return "deleted_at" not in meta and _is_project(meta)


def _is_project(meta: Item) -> bool:
    return is_formed("project", meta) and keys.project(meta["tenant"], meta["id"]) == (meta["pk"], meta["sk"])


def _is_as_changed(row: Item | None, at: str | None) -> bool:
    """Whether a row is as a change at a moment left it; None is the moment of one that removed it."""
    if row is None or at is None:
        return row is None and at is None
    return at in (row.get("updated_at"), row.get("created_at"))


def _differs(row: Item, wanted: Item) -> bool:
    return any(row.get(name) != value for name, value in wanted.items())


def _joined(meta: Item) -> Item:
    """A member's own row of its project."""
    return {"id": meta["id"], "space": meta["space"]}


def _in_space(person: Item, space: str) -> Item:
    return {"principal": person["id"], "role": person["spaces"][space], "created_at": person["created_at"]}


def _entry(person: Item) -> Item:
    return {"principal": person["id"], "name": person["name"], "email": person["email"]}
