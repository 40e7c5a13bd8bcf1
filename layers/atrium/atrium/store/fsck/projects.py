"""Projects: META, the row in the list of a space, members with the row in their own list, records and notes.

A deleted project answers for its place in the purge queue alone: the purge takes its rows.
"""

from atrium import documents, keys
from atrium.keys import Key
from atrium.models import moment_of
from atrium.permissions import Role
from atrium.store.change import MAX_MEMBERS
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Item, starting_with
from atrium.store.fsck.damage import (
    Damage,
    Rule,
    differs,
    is_alive,
    is_project,
    is_right,
    kind_of,
    malformed,
    read,
    unqueued,
)
from atrium.store.fsck.events import is_event, told
from atrium.store.rows import list_row, row_of, to_project


def project(key: Key, overdue: str) -> Rule:
    (meta,) = yield from read(key)
    if meta is None:
        return []
    if not is_project(meta):
        return malformed("project", key, meta)
    found = yield from told(key, meta["tenant"], meta)
    if "deleted_at" in meta:
        deletion = Deletion("project", meta["tenant"], meta["deleted_at"], project=meta["id"], space=meta["space"])
        return found + (yield from unqueued(key, meta, deletion, overdue))
    found += (yield from _listing(key, meta)) + (yield from _membership(key, meta))
    found += yield from _last_change(key, meta)
    return found + (yield from _childlessness(key, meta)) if meta.get("bare") else found


def _last_change(key: Key, meta: Item) -> Rule:
    """The rows that the project's last change was about are as it left them, since nothing below has changed after
    it."""
    damage: list[Damage] = []
    event_keys = [keys.event(meta["tenant"], id) for id in meta["last_events"]]
    events = yield from read(*event_keys)
    for event_key, event in zip(event_keys, events, strict=True):
        if event is not None and "erased_at" not in event and is_event(event_key, event):
            damage += yield from _changed(key, meta, event_key, event)
    return damage


def _changed(key: Key, meta: Item, event_key: Key, event: Item) -> Rule:
    changed, at = row_of(event["type"], documents.parse(event["resource"]), moment_of(event_key.sk))
    if changed == keys.META:
        return []
    changed_key = Key(key.pk, changed)
    (row,) = yield from read(changed_key)
    if is_as_changed(row, at):
        return []
    return [Damage("change_in_part", key, {key: meta, event_key: event, changed_key: row})]


def is_as_changed(row: Item | None, at: str | None) -> bool:
    """Whether a row is as the change at a moment left it; the moment is None if the change removed the row."""
    if row is None or at is None:
        return row is None and at is None
    return at in (row.get("updated_at"), row.get("created_at"))


def _listing(key: Key, meta: Item) -> Rule:
    listed = keys.space_project(meta["tenant"], meta["space"], meta["id"])
    space, row = yield from read(keys.space(meta["tenant"], meta["space"]), listed)
    if space is None:
        return [Damage("project_in_no_space", key, {key: meta, keys.space(meta["tenant"], meta["space"]): None})]
    wanted = list_row(to_project(meta))
    if row is None:
        return [Damage("list_row_missing", key, {key: meta, listed: None}, {listed: wanted})]
    if differs({"bare": False, **row}, wanted):
        return [Damage("list_row_differs", key, {key: meta, listed: row}, {listed: {**row, **wanted}})]
    return []


def _membership(key: Key, meta: Item) -> Rule:
    """The named manager is a member in the role of manager, and META has the number of members."""
    tenant, project, manager = meta["tenant"], meta["id"], meta["manager"]
    member, mine = keys.member(tenant, project, manager), keys.principal_project(tenant, manager, project)
    # Read far past the limit: rows that Atrium did not write may exceed it.
    every = starting_with(key.pk, keys.ROLE, None, 10 * MAX_MEMBERS, megabytes=10)
    person_key = keys.principal(tenant, manager)
    found = yield [every, person_key, mine]
    rows, person, joined = found.ranges[every], found.rows[person_key], found.rows[mine]
    members = {at: row for at, row in ((Key(row["pk"], row["sk"]), row) for row in rows) if kind_of(at) == "member"}
    row = members.get(member)
    damage: list[Damage] = []
    if person is None and row is None:
        damage.append(Damage("manager_unknown", key, {key: meta, person_key: None}))
    elif row is None:
        moments = dict.fromkeys(("created_at", "updated_at"), meta["created_at"])
        # An id that no membership has yet, and the same one at every look.
        id = meta["last_events"][-1]
        wanted = {"id": id, "principal": manager, "role": Role.MANAGER.key, **moments, "version": 1}
        seen = {key: meta, member: None, mine: joined}
        damage.append(Damage("manager_not_a_member", key, seen, {member: wanted, mine: member_list_row(meta)}))
    elif is_right("member", row, principal=manager) and row["role"] != Role.MANAGER.key:
        wanted = {**row, "role": Role.MANAGER.key, "version": row["version"] + 1}
        damage.append(Damage("manager_demoted", key, {key: meta, member: row}, {member: wanted}))
    # The repair of a missing manager adds a row.
    count = len(members) + (row is None and person is not None)
    if meta["members"] != count:
        damage.append(Damage("members_miscounted", key, {key: meta}, {key: {**meta, "members": count}}))
    return damage


def _childlessness(key: Key, meta: Item) -> Rule:
    """A project marked childless has no tasks and no members but its manager: reads of it skip the rows of both."""
    listed = keys.space_project(meta["tenant"], meta["space"], meta["id"])
    members, tasks = starting_with(key.pk, keys.ROLE, None, 2), starting_with(key.pk, keys.TASK, None, 1)
    found = yield [members, tasks, listed]
    row = found.rows[listed]
    if not found.ranges[tasks] and all(each["sk"] == keys.ROLE + meta["manager"] for each in found.ranges[members]):
        return []
    seen = {key: meta, listed: row} if row else {key: meta}
    return [Damage("bare_with_more", key, seen, {at: {**row, "bare": False} for at, row in seen.items()})]


def member(key: Key, tenant: str, project: str, principal: str) -> Rule:
    meta_key, mine = keys.project(tenant, project), keys.principal_project(tenant, principal, project)
    row, meta = yield from read(key, meta_key)
    if row is None:
        return []
    if meta is None:
        (joined,) = yield from read(mine)
        return [Damage("orphan", key, {key: row, meta_key: None, mine: joined}, {key: None, mine: None})]
    if not is_alive(meta):
        return []
    joined, person = yield from read(mine, keys.principal(tenant, principal))
    if not is_right("member", row, principal=principal):
        return malformed("member", key, row)
    if person is None:
        return [Damage("member_unknown", key, {key: row, keys.principal(tenant, principal): None})]
    if joined is None:
        seen = {key: row, meta_key: meta, mine: None}
        return [Damage("joined_row_missing", key, seen, {mine: member_list_row(meta)})]
    return []


def principal_project(key: Key, tenant: str, principal: str, project: str) -> Rule:
    meta_key, member_key = keys.project(tenant, project), keys.member(tenant, project, principal)
    row, member, meta = yield from read(key, member_key, meta_key)
    alive = meta if meta is not None and is_alive(meta) else None
    if row is None or (meta is not None and "deleted_at" not in meta and alive is None):
        return []
    if member is None and alive is not None and alive["manager"] == principal:
        return []  # META answers for a named manager who is no member
    if member is None:
        return [Damage("joined_row_of_nobody", key, {key: row, member_key: None, meta_key: meta}, {key: None})]
    if alive is None or not differs(row, member_list_row(alive)):
        return []
    # If META's space does not exist, META is reported, and this row may be the right one.
    (space,) = yield from read(keys.space(tenant, alive["space"]))
    wanted = {**row, **member_list_row(alive)}
    return [Damage("joined_row_differs", key, {key: row, meta_key: alive}, {key: wanted})] if space else []


def member_list_row(meta: Item) -> Item:
    """The row of a project in a member's own list."""
    return {"id": meta["id"], "space": meta["space"]}


def record(key: Key, kind: str, tenant: str, project: str, record: str) -> Rule:
    meta_key = keys.project(tenant, project)
    row, meta = yield from read(key, meta_key)
    if row is None:
        return []
    if meta is None:
        return [Damage("orphan", key, {key: row, meta_key: None}, {key: None})]
    return malformed("record", key, row) if is_alive(meta) and not is_right(kind, row, id=record) else []


def note(key: Key, tenant: str, project: str, task: str, note: str) -> Rule:
    meta_key, task_key = keys.project(tenant, project), keys.record(tenant, project, "task", task)
    queued_key = keys.purge(tenant, project, task)
    row, meta, found, queued = yield from read(key, meta_key, task_key, queued_key)
    if row is None:
        return []
    if meta is None:
        return [Damage("orphan", key, {key: row, meta_key: None}, {key: None})]
    if not is_alive(meta):
        return []
    if found is None and queued is None:
        # No note can be added to a missing task, so no change under way explains this.
        return [Damage("note_of_nothing", key, {key: row, task_key: None, queued_key: None}, {key: None})]
    return [] if is_right("note", row, id=note) else malformed("note", key, row)


def space_project(key: Key, tenant: str, space: str, project: str) -> Rule:
    meta_key = keys.project(tenant, project)
    row, meta = yield from read(key, meta_key)
    if row is None or (meta is not None and not is_project(meta)):
        return []
    if meta is None:
        return [Damage("list_row_of_nothing", key, {key: row, meta_key: None}, {key: None})]
    if "deleted_at" in meta:
        return [Damage("list_row_of_deleted", key, {key: row, meta_key: meta}, {key: None})]
    if meta["space"] == space:
        return []
    # META names another space. If that does not exist, this row may be the right one.
    (elsewhere,) = yield from read(keys.space(tenant, meta["space"]))
    return [Damage("list_row_of_nothing", key, {key: row, meta_key: meta}, {key: None})] if elsewhere else []
