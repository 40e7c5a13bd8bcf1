"""Damage for the check of the table: ways to do each kind, and the effect of its repair."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from atrium import keys
from atrium.ids import new_ids
from atrium.keys import Key
from tests.support.client import flat_id, v1_id
from tests.support.place import GHOST, Place

TWIN = "e" * 24
LONG_AGO = "2020-01-01T00:00:00.000Z"


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
    person = {"id": TWIN, "name": name, "spaces": {}, "tenant_role": "member"}
    p.rows.copy(p.person("owner"), keys.principal(p.tenant, TWIN), **person)
    listed = keys.listed_principal(p.tenant, p.world.id("viewer"))
    p.rows.copy(listed, keys.listed_principal(p.tenant, TWIN), id=TWIN)
    entry = {"principal": TWIN, "name": name, "email": "owner@acme.example"}
    p.rows.put(keys.name(p.tenant, "twin", TWIN), entry)


def named_alike(p: Place) -> None:
    """Two principals with one name in another system."""
    p.rows.change(p.person("viewer"), external_id="hr-7")


def deletion_of(p: Place, kind: str) -> tuple[Key, Key]:
    """The tombstone of what is deleted, and its row of the purge queue."""
    match kind:
        case "project":
            return keys.project(p.tenant, p.deleted), keys.purge(p.tenant, p.deleted)
        case "space":
            return keys.space(p.globex, p.deleted_space), keys.purge_of_space(p.globex, p.deleted_space)
        case "webhook":
            return keys.endpoint(p.globex, p.deleted_webhook), keys.purge_of_webhook(p.globex, p.deleted_webhook)
        case _:
            return keys.principal(p.globex, p.deleted_person), keys.purge_of_principal(p.globex, p.deleted_person)


def overdue(kind: str, p: Place) -> None:
    for key in deletion_of(p, kind):
        p.rows.change(key, deleted_at=LONG_AGO)


def unqueued_long_ago(kind: str, p: Place) -> None:
    tombstone, row = deletion_of(p, kind)
    p.rows.change(tombstone, deleted_at=LONG_AGO)
    p.rows.delete(row)


def queued(kind: str, p: Place) -> None:
    """A row about what is not deleted."""
    ids, key = {
        "project": ({"project": p.project, "space": p.tenant}, keys.purge(p.tenant, p.project)),
        "task": ({"project": p.project, "task": p.task}, keys.purge(p.tenant, p.project, p.task)),
        "space": ({"space": p.tenant}, keys.purge_of_space(p.tenant, p.tenant)),
        "principal": (
            {"principal": p.world.id("owner")},
            keys.purge_of_principal(p.tenant, p.world.id("owner")),
        ),
        "webhook": ({"webhook": p.webhook}, keys.purge_of_webhook(p.tenant, p.webhook)),
    }[kind]
    p.rows.put(key, {"kind": kind, "tenant": p.tenant, "deleted_at": LONG_AGO, **ids})


def queue_row(kind: str, p: Place) -> Key:
    return deletion_of(p, kind)[1]


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
    event = keys.event(p.tenant, meta["last_events"][-1])
    p.rows.change(event, type=type, resource=json.dumps(resource))


# The ids of an event of long ago; and of now, or a little later, as positions at which late ones are listed.
OLD = new_ids(1, 1_700_000_000_000)[0]
LATE, LATER = new_ids(2, round(time.time() * 1000))


def numbered_above(root: str | None, p: Place) -> None:
    """An event of a root that is no project has a number that the root has not reached."""
    named = ("project", "principal", "webhook", "space")
    row = next(
        row
        for row in p.rows.all()
        if row["pk"].startswith(f"{keys.tenant_prefix(p.tenant)}L#")
        and next((n for n in named if n in row), None) == root
    )
    p.rows.change(Key(row["pk"], row["sk"]), sequence=1_000)


def listed_again(p: Place, marked: bool = True) -> Key:
    """A late event, listed again; returns the key of its own row. It is none of its project's last change."""
    first = keys.event(p.tenant, new_ids(1, round(time.time() * 1000))[0])
    p.rows.copy(p.event, first, **({"relisted": LATE} if marked else {}))
    p.rows.copy(p.event, keys.event(p.tenant, LATE), event=first.sk)
    return first


def unmarked(p: Place) -> None:
    listed_again(p, marked=False)


def twice_again(p: Place) -> None:
    p.rows.copy(p.event, keys.event(p.tenant, LATER), event=listed_again(p).sk)


def unlisted(p: Place) -> None:
    listed_again(p)
    p.rows.delete(keys.event(p.tenant, LATE))


def answered(p: Place, row: str, **change: Any) -> None:
    """An idempotency record tells of a change of the project."""
    p.rows.change(replay(p), change={"project": p.project, "row": row, "sequence": 1_000, **change})


Seed = Callable[[Place], None]

# The kinds that have a tombstone until they are purged.
TOMBSTONES = ("project", "space", "principal", "webhook")

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
    "space_malformed": (
        None,
        {
            "": lambda p: p.rows.change(keys.space(p.tenant, p.tenant), name=None),
            "deleted": lambda p: p.rows.change(deletion_of(p, "space")[0], deleted_by=None),
        },
    ),
    "pulse_malformed": (None, {"": lambda p: p.rows.change(keys.PULSE, at="yesterday")}),
    "space_member_missing": ("written", {"": lambda p: p.rows.delete(p.in_space("viewer"))}),
    "space_member_differs": (
        "written",
        {
            "role": lambda p: p.rows.change(p.in_space("viewer"), role="manager"),
            "form": lambda p: p.rows.change(p.in_space("viewer"), id=None),
        },
    ),
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
        {kind: lambda p, kind=kind: p.rows.delete(queue_row(kind, p)) for kind in TOMBSTONES},  # type: ignore[misc]
    ),
    "deletion_not_queued, long ago": ("purged", {kind: partial(unqueued_long_ago, kind) for kind in TOMBSTONES}),
    "purge_overdue": (
        "purged",
        {
            **{kind: partial(overdue, kind) for kind in TOMBSTONES},
            "task": lambda p: p.rows.change(keys.purge(p.tenant, p.project, p.deleted_task), deleted_at=LONG_AGO),
        },
    ),
    "queue_row_of_living": ("deleted", {kind: partial(queued, kind) for kind in ("task", *TOMBSTONES)}),
    "queue_row_malformed": (
        "deleted",
        {
            "of a living project": lambda p: p.rows.put(keys.purge(p.tenant, p.project), {"deleted_at": 1}),
            "of a living task": lambda p: p.rows.put(keys.purge(p.tenant, p.project, p.task), {}),
            "of a living space": lambda p: p.rows.put(keys.purge_of_space(p.tenant, p.tenant), {}),
            "of a living principal": lambda p: p.rows.put(keys.purge_of_principal(p.tenant, p.world.id("owner")), {}),
            "of a living webhook": lambda p: p.rows.put(keys.purge_of_webhook(p.tenant, p.webhook), {}),
            "of nothing": lambda p: p.rows.put(keys.purge(p.tenant, GHOST), {"deleted_at": LONG_AGO}),
            "another shard": lambda p: p.rows.copy(keys.purge(p.tenant, p.deleted), elsewhere(p)),
            "another key": lambda p: p.rows.put(Key("PURGE#0", "!"), {"deleted_at": LONG_AGO, "x": {"y": [1]}}),
        },
    ),
    "queue_row_malformed, of what is deleted": (
        "purged",
        {
            "attribute": lambda p: p.rows.change(keys.purge(p.tenant, p.deleted), deleted_at=None),
            "kind": lambda p: p.rows.change(keys.purge(p.tenant, p.deleted), kind="space"),
            "space": lambda p: p.rows.change(queue_row("space", p), kind=None),
            "principal": lambda p: p.rows.change(queue_row("principal", p), principal=GHOST),
            "webhook": lambda p: p.rows.change(queue_row("webhook", p), kind=None),
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
            "external id": lambda p: p.rows.delete(keys.external(p.tenant, "hr-7")),
        },
    ),
    "directory_row_of_nobody": (
        "deleted",
        {
            "e-mail": lambda p: p.rows.copy(p.email("owner@acme.example"), p.email("x@acme.example"), principal=GHOST),
            "another's e-mail": lambda p: p.rows.copy(p.email("owner@acme.example"), p.email("x@acme.example")),
            "empty": lambda p: p.rows.put(p.email("x@acme.example"), {}),
            "name": lambda p: p.rows.copy(p.named("acme", "owner"), keys.name(p.tenant, "acme", GHOST)),
            "external id": lambda p: p.rows.put(keys.external(p.tenant, "x"), {"principal": GHOST}),
            "another name": lambda p: p.rows.copy(p.named("acme", "owner"), p.named("x", "owner")),
            "a deleted e-mail": lambda p: p.rows.put(keys.email(p.globex, "outsider@globex.example"), entry(p)),
            "a deleted name": lambda p: p.rows.put(keys.name(p.globex, "globex", p.deleted_person), entry(p)),
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
    "external_id_shared": (None, {"": named_alike}),
    "space_unlisted": (
        "written",
        {
            "missing": lambda p: p.rows.delete(keys.tenant_space(p.tenant, p.tenant)),
            "of another": lambda p: p.rows.change(keys.tenant_space(p.tenant, p.tenant), id=GHOST),
        },
    ),
    "listed_space_of_nothing": (
        "deleted",
        {
            "": lambda p: p.rows.put(keys.tenant_space(p.tenant, GHOST), {"id": GHOST}),
            "deleted": lambda p: p.rows.put(keys.tenant_space(p.globex, p.deleted_space), {"id": p.deleted_space}),
        },
    ),
    "principal_unlisted": (
        "written",
        {
            "missing": lambda p: p.rows.delete(keys.listed_principal(p.tenant, p.world.id("viewer"))),
            "status": lambda p: p.rows.change(
                keys.listed_principal(p.tenant, p.world.id("viewer")), status="suspended"
            ),
        },
    ),
    "listed_principal_of_nobody": (
        "deleted",
        {
            "": lambda p: p.rows.copy(
                keys.listed_principal(p.tenant, p.world.id("viewer")), keys.listed_principal(p.tenant, GHOST), id=GHOST
            ),
            "deleted": lambda p: p.rows.copy(
                keys.listed_principal(p.globex, p.world.id("viewer", "globex")),
                keys.listed_principal(p.globex, p.deleted_person),
                id=p.deleted_person,
            ),
        },
    ),
    "admins_miscounted": (
        "written",
        {
            "too many": lambda p: p.rows.change(keys.admins(p.tenant), count=2),
            "missing": lambda p: p.rows.delete(keys.admins(p.tenant)),
        },
    ),
    "owners_miscounted": (
        "written",
        {
            "too few": lambda p: p.rows.change(keys.owners(p.tenant, p.tenant), count=0),
            "missing": lambda p: p.rows.delete(keys.owners(p.tenant, p.tenant)),
        },
    ),
    "number_of_nothing": (
        "deleted",
        {
            "owners": lambda p: p.rows.put(keys.owners(p.tenant, GHOST), {"count": 1}),
            "admins": lambda p: p.rows.put(keys.admins(GHOST), {"count": 1}),
        },
    ),
    "principal_malformed": (
        None,
        {
            "role": lambda p: p.rows.change(p.person("outsider"), spaces={p.tenant: "boss"}),
            "attribute": lambda p: p.rows.change(p.person("owner"), kind=None),
            "deleted": lambda p: p.rows.change(deletion_of(p, "principal")[0], deleted_by={"principal": GHOST}),
        },
    ),
    "tenant_malformed": (None, {"name": lambda p: p.rows.change(keys.tenant(p.tenant), name=None)}),
    "project_malformed": (
        None,
        {
            **{
                name: partial(without, name)
                for name in ("name", "members", "sequence", "last_events", "manager", "space")
            },
            "another id": lambda p: p.rows.change(p.meta, id=GHOST),
            "another tenant": lambda p: p.rows.change(p.meta, tenant=GHOST),
            "another type": lambda p: p.rows.change(p.meta, version="1"),
        },
    ),
    "event_malformed": (
        None,
        {
            "of a note without its task": partial(announced, "note.created", "there"),
            "attribute": lambda p: p.rows.change(p.event, type=None),
        },
    ),
    "event_above_its_root": (
        None,
        {
            "a project": lambda p: p.rows.change(p.event, sequence=1_000),
            "a principal": partial(numbered_above, "principal"),
            "a space": partial(numbered_above, "space"),
            "a webhook": partial(numbered_above, "webhook"),
            "the tenant": partial(numbered_above, None),
        },
    ),
    "event_unnumbered": (None, {"": lambda p: p.rows.copy(p.event, keys.event(p.tenant, OLD))}),
    "late_event_of_nothing": (
        "written",
        {
            "no mark on its row": unmarked,
            "no row of its own": lambda p: p.rows.delete(listed_again(p)),
        },
    ),
    "late_event_of_nothing, listed elsewhere": ("deleted", {"": twice_again}),
    "late_event_unlisted": ("written", {"": unlisted}),
    "event_missing": (None, {"of the last change": lambda p: p.rows.delete(p.event)}),
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
    "credential_differs": (
        None,
        {
            "wider": lambda p: p.rows.change(credential(p), permissions=["project:read"]),
            "of more spaces": lambda p: p.rows.change(credential(p), spaces=[GHOST]),
            "longer": lambda p: p.rows.change(credential(p), expires_at=LONG_AGO),
            "enrolled": lambda p: p.rows.change(credential(p), enrols=True),
            "not revoked": lambda p: p.rows.change(credential(p), revoked_at=LONG_AGO),
            "issued by another": lambda p: p.rows.change(secret(p), issued_by=issuer(p)),
        },
    ),
    "issued_row_missing": ("written", {"": lambda p: issue_again(p)}),
    "issued_row_of_nothing": (
        "deleted",
        {
            "of none": lambda p: p.rows.put(keys.issued(p.tenant, GHOST, GHOST, GHOST, GHOST), {}),
            "of another's": lambda p: p.rows.put(keys.issued(p.tenant, GHOST, GHOST, *issuer(p).values()), {}),
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
    "webhook_malformed": (
        None,
        {
            "attribute": lambda p: p.rows.change(p.endpoint, url=None),
            "another id": lambda p: p.rows.change(p.endpoint, id=GHOST),
        },
    ),
    "webhook_changes_malformed": (None, {"": lambda p: p.rows.change(keys.endpoint_changes(p.tenant), changes="7")}),
    "webhook_state_malformed": (None, {"": lambda p: p.rows.change(p.endpoint_state, failures="many")}),
    "webhook_not_due": ("written", {"": lambda p: p.rows.change(p.endpoint_state, due_at=None)}),
    "due_row_missing": (
        "written",
        {
            "of a webhook": lambda p: p.rows.delete(due(p, waits=True)),
            "of a delivery": lambda p: p.rows.delete(due(p, waits=False)),
        },
    ),
    "due_row_overdue": (
        None,
        {"": lambda p: p.rows.put(keys.due(LONG_AGO, p.tenant, p.webhook), {"tenant": p.tenant})},
    ),
    "due_row_malformed": (
        None,
        {
            "attribute": lambda p: p.rows.change(due(p, waits=True), tenant=None),
            "another shard": lambda p: p.rows.copy(due(p, waits=False), misplaced(due(p, waits=False))),
        },
    ),
    "delivery_malformed": (None, {"": lambda p: p.rows.change(below(p, keys.DELIVERY), state="lost")}),
    "recovery_malformed": (None, {"": lambda p: p.rows.change(below(p, "JOB#"), done="many")}),
    "waiting_of_nothing": (
        "deleted",
        {"": lambda p: p.rows.put(keys.open_delivery(p.tenant, p.webhook, GHOST), {})},
    ),
    "of_no_webhook": (
        "deleted",
        {
            "state": lambda p: p.rows.put(keys.endpoint_state(p.tenant, GHOST), {}),
            "delivery": lambda p: p.rows.put(keys.delivery(p.tenant, GHOST, GHOST), {}),
            "recovery": lambda p: p.rows.put(keys.recovery(p.tenant, GHOST, GHOST), {}),
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


def entry(p: Place) -> Any:
    """A row of the directory about a deleted principal."""
    return {"principal": p.deleted_person, "name": "Outsider of Globex", "email": "outsider@globex.example"}


def elsewhere(p: Place) -> Key:
    right = keys.purge(p.tenant, p.deleted)
    return Key(next(pk for pk in keys.purge_shards() if pk != right.pk), right.sk)


def research(p: Place) -> str:
    return flat_id(p.world.dev["tenants"]["acme"]["spaces"]["research"])


def below(p: Place, prefix: str) -> Key:
    """A row below the webhook."""
    rows = (Key(row["pk"], row["sk"]) for row in p.rows.all())
    return next(key for key in rows if key.pk == p.endpoint_state.pk and key.sk.startswith(prefix))


def due(p: Place, *, waits: bool) -> Key:
    """The row which says that the webhook as a whole is due, or its delivery."""
    rows = (Key(row["pk"], row["sk"]) for row in p.rows.all() if row["pk"].startswith(keys.DUE_PREFIX))
    found = [key for key in rows if (keys.due_of(key.sk)[2] is None) == waits]
    state, delivery = p.rows.get(p.endpoint_state), p.rows.get(below(p, keys.DELIVERY))
    assert state is not None
    assert delivery is not None
    at = state["due_at"] if waits else delivery["next_attempt_at"]
    return next(key for key in found if key.sk.startswith(at))


def misplaced(key: Key) -> Key:
    shard = int(key.pk.removeprefix(keys.DUE_PREFIX))
    return Key(f"{keys.DUE_PREFIX}{(shard + 1) % keys.DUE_SHARDS}", key.sk)


def replay(p: Place) -> Key:
    return p.any(keys.idempotency(p.tenant, "").pk)


def credential(p: Place) -> Key:
    return next(Key(row["pk"], row["sk"]) for row in p.rows.all() if row["sk"].startswith(keys.CREDENTIAL))


def secret(p: Place, of: Key | None = None) -> Key:
    key = of or credential(p)
    return next(keys.credential(row["sha256"]) for row in p.rows.all() if Key(row["pk"], row["sk"]) == key)


def issue_again(p: Place) -> None:
    """By another credential, which is left to other damage."""
    tenant = keys.tenant_of(credential(p).pk)
    made = [Key(row["pk"], row["sk"]) for row in p.rows.all() if row["sk"].startswith(keys.CREDENTIAL)]
    last = [key for key in made if keys.tenant_of(key.pk) == tenant][-1]
    for key in (last, secret(p, last)):
        p.rows.change(key, issued_by=issuer(p))


def issuer(p: Place) -> dict[str, str]:
    """The credential, as one that it made names it."""
    key = credential(p)
    return {"principal": key.pk.rpartition("#")[2], "credential": key.sk.removeprefix(keys.CREDENTIAL)}


CASES = [(kind, way) for kind, (_, ways) in DAMAGE.items() for way in ways]

# Of each kind, the round of each way, in their order. All ways of a round are done at once: none hides or causes
# another, no repair changes a row that another rests on, and either all of them are repaired or none. A way that goes
# with no other has a round of its own.
_ROUNDS = {
    "orphan": (0, 0, 0, 0),
    "list_row_missing": (0,),
    "list_row_differs": (1, 2, 3, 4, 5, 6, 7),
    "list_row_of_nothing": (1, 1),
    "list_row_of_deleted": (1,),
    "manager_not_a_member": (1, 2),
    "manager_demoted": (0,),
    "manager_unknown": (9,),
    "members_miscounted": (0, 1),
    "bare_with_more": (0, 0),
    "member_unknown": (10,),
    "member_malformed": (9, 9, 10),
    "joined_row_missing": (0,),
    "joined_row_of_nobody": (0, 0),
    "joined_row_differs": (1, 2),
    "space_malformed": (9, 9),
    "pulse_malformed": (9,),
    "space_member_missing": (0,),
    "space_member_differs": (1, 2),
    "space_member_of_nobody": (1, 1),
    "role_in_no_space": (9,),
    "deletion_not_queued": (0, 0, 0, 0),
    "deletion_not_queued, long ago": (2, 6, 7, 1),
    "purge_overdue": (3, 4, 5, 2, 0),
    "queue_row_of_living": (0, 0, 0, 0, 0),
    "queue_row_malformed": (1, 1, 1, 1, 1, 0, 1, 0),
    "queue_row_malformed, of what is deleted": (4, 5, 3, 8, 3, 6, 1),
    "note_of_nothing": (2,),
    "note_malformed": (9,),
    "record_malformed": (9, 9, 9, 9),
    "directory_row_missing": (0, 0, 0),
    "directory_row_of_nobody": (1, 2, 0, 1, 0, 1, 0, 0),
    "directory_row_differs": (1, 1),
    "email_shared": (9,),
    "external_id_shared": (9,),
    "space_unlisted": (0, 1),
    "listed_space_of_nothing": (0, 0),
    "principal_unlisted": (0, 1),
    "listed_principal_of_nobody": (1, 0),
    "admins_miscounted": (0, 1),
    "owners_miscounted": (0, 1),
    "number_of_nothing": (0, 0),
    "principal_malformed": (10, 10, 9),
    "tenant_malformed": (9,),
    "project_malformed": (11, 12, 13, 14, 15, 16, 17, 18, 19),
    "event_malformed": (9, 10),
    "event_above_its_root": (11, 9, 9, 9, 9),
    "event_unnumbered": (12,),
    "late_event_of_nothing": (0, 1),
    "late_event_of_nothing, listed elsewhere": (2,),
    "late_event_unlisted": (3,),
    "event_missing": (20,),
    "change_in_part": (21, 22, 23, 24, 25),
    "replay_of_nothing": (0, 1, 2, 3, 4),
    "project_in_no_space": (20,),
    "credential_malformed": (9, 10),
    "credential_unlisted": (9,),
    "credential_lost": (11, 10),
    "principal_credential_malformed": (11, 12, 13),
    "credential_differs": (14, 15, 16, 17, 18, 10),
    "issued_row_missing": (0,),
    "issued_row_of_nothing": (0, 0),
    "credential_of_nobody": (12,),
    "replay_malformed": (9, 10, 11, 12, 13, 14, 15),
    "webhook_malformed": (11, 12),
    "webhook_changes_malformed": (9,),
    "webhook_state_malformed": (9,),
    "webhook_not_due": (2,),
    "due_row_missing": (0, 1),
    "due_row_overdue": (9,),
    "due_row_malformed": (10, 13),
    "delivery_malformed": (9,),
    "recovery_malformed": (9,),
    "waiting_of_nothing": (0,),
    "of_no_webhook": (0, 0, 0),
    "unknown_key": (9, 9, 9, 9),
}

_ROUND_OF = {
    (kind, way): number for kind, (_, ways) in DAMAGE.items() for way, number in zip(ways, _ROUNDS[kind], strict=True)
}
ROUNDS = [[case for case in CASES if _ROUND_OF[case] == number] for number in sorted({*_ROUND_OF.values()})]
