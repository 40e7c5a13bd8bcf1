"""All that a deletion of a space or a principal entails with events: roles end, projects go, or go to another.

Each is a change like any other, one transaction, made for the purge and not for a request. Its events name the deletion
as their cause: they have its actor and its request.

Two purges may do the same at the same time. Each change holds what it has read, so the second of two finds that there
is nothing left to do, and tells no event.
"""

from collections.abc import Callable

from atrium import keys
from atrium.ids import new_id
from atrium.models import ACTIVE, Caller, Member, Project, moment_of
from atrium.permissions import Role, TenantRole
from atrium.store.change import Change
from atrium.store.engine.table import Item, Table, starting_with
from atrium.store.engine.work import Outcome, Work
from atrium.store.ledger import Root, count, last_events, tell
from atrium.store.members import AS_SEEN
from atrium.store.projects import delete_project, write_fields
from atrium.store.rows import joined_row, member_row, to_issuer, to_member, to_project, to_space_member

# A row that no purge has removed before.
_THERE = "attribute_exists(#pk)"

# META of a project whose rows belong to its own purge, or to none any more.
_NOT_ALIVE = "attribute_not_exists(#pk) OR attribute_exists(#deleted_at)"

_PAGE = 1_000


class NoHeir(Exception):
    """A project is to be handed over, and the tenant has no active admin."""


def follow(table: Table, tenant: str, tombstone: Item, change: Callable[[Work], None]) -> None:
    """Commits what `change` writes as the consequence of a deletion. Raises Unavailable, and what `change` raises."""
    by = tombstone["deleted_by"]
    work = Work(
        table,
        Caller(tenant, by["principal"], by["kind"], by.get("credential"), issued_by=to_issuer(by)),
        request=by["request"],
        finishes=True,
    )

    def decide() -> Outcome:
        change(work)
        return Outcome({}, confirms=True)

    work.run(decide)


def leave_space(work: Work, space: str, principal: str) -> None:
    """Ends a role in a space, also that of its last owner."""
    tenant = work.caller.tenant
    member_key, person_key = keys.space_member(tenant, space, principal), keys.principal(tenant, principal)
    space_key, owners_key = keys.space(tenant, space), keys.owners(tenant, space)
    work.read(member_key, person_key, space_key, owners_key)
    row, person, found = work.item(member_key), work.item(person_key), work.item(space_key)
    if person is not None and space in person["spaces"]:
        work.update(person_key, f"REMOVE #spaces.#{space}")
    if row is None:
        work.check(member_key, "attribute_not_exists(#pk)")
        return
    member = to_space_member(tenant, space, row)
    work.delete(member_key, AS_SEEN, seen_id=member.membership, seen_version=member.version)
    if member.role is Role.OWNER and work.item(owners_key) is not None:
        work.update(owners_key, "ADD #count :less", less=-1)
    if found is None:
        return
    work.not_before(max(moment_of(last_events(found)[-1]), member.updated_at))
    root = Root(space_key, space=space, last_events=last_events(found))
    tell(work, root, "space_member.removed", member.resource())
    count(work, space_key, _THERE)


def leave_project(work: Work, project: str, principal: str) -> None:
    """Ends a membership of a project. One whose named manager the principal became is handed over in the same change:
    to who deleted the principal, or to an active admin if that one is gone too. Raises NoHeir."""
    tenant = work.caller.tenant
    meta_key, member_key = keys.project(tenant, project), keys.member(tenant, project, principal)
    joined_key = keys.principal_project(tenant, principal, project)
    work.read(meta_key, member_key)
    meta, row = work.item(meta_key), work.item(member_key)
    work.delete(joined_key, when=None)
    if meta is None or "deleted_at" in meta:
        work.check(meta_key, _NOT_ALIVE)
        return
    if row is None:
        work.check(member_key, "attribute_not_exists(#pk)")
        return
    found = to_project(meta)
    member = to_member(found, row)
    work.not_before(max(moment_of(found.last_events[-1]), member.updated_at))
    change = Change(work, found, archived="changes")
    is_joined = _hand_over(work, change) if found.manager == principal else False
    if found.manager != principal:
        work.check(meta_key, "#manager <> :leaving", leaving=principal)
    change.write("member.removed", member.resource(), joined=0 if is_joined else -1)
    work.delete(member_key, AS_SEEN, seen_id=member.membership, seen_version=member.version)


def delete_slipped_in(work: Work, space: str, project: str) -> None:
    """Deletes a project that was made in a space while that was deleted. Its rows are left to a purge of its own."""
    meta_key = keys.project(work.caller.tenant, project)
    work.read(meta_key)
    meta = work.item(meta_key)
    if meta is None or "deleted_at" in meta:
        work.check(meta_key, _NOT_ALIVE)
        work.delete(keys.space_project(work.caller.tenant, space, project), when=None)
        return
    found = to_project(meta)
    work.not_before(moment_of(found.last_events[-1]))
    delete_project(work, Change(work, found, archived="changes"))


def _hand_over(work: Work, change: Change) -> bool:
    """Makes another principal the named manager of a project; whether it was no member before."""
    tenant, project = work.caller.tenant, change.project
    heir = _heir(work, project.manager)
    heir_key = keys.member(tenant, project.id, heir)
    work.read(heir_key)
    row = work.item(heir_key)
    if row is None:
        _join(work, change, heir, heir_key)
    else:
        work.not_before(row["updated_at"])
        work.update(
            heir_key,
            "SET #role = :manager, #updated_at = :now ADD #version :one",
            AS_SEEN,
            manager=Role.MANAGER.key,
            now=work.now,
            one=1,
            seen_id=row["id"],
            seen_version=row["version"],
        )
    write_fields(work, change, {"manager": heir})
    return row is None


def _join(work: Work, change: Change, principal: str, key: keys.Key) -> None:
    """Makes a principal a member in the place of another one, so that a project with all members it may have takes it,
    too."""
    project: Project = change.project
    member = Member(
        membership=new_id(),
        tenant=project.tenant,
        project=project.id,
        principal=principal,
        role=Role.MANAGER,
        created_at=work.now,
        updated_at=work.now,
        version=1,
    )
    change.write("member.added", member.resource())
    work.put(key, member_row(member))
    work.put(keys.principal_project(project.tenant, principal, project.id), joined_row(project), when=None)


def _heir(work: Work, leaving: str) -> str:
    """Who deleted the principal, or an active admin, a person before a service. Holds that the heir is active."""
    tenant, me = work.caller.tenant, work.caller.principal
    work.read(work.my_key)
    row = work.item(work.my_key)
    heir = me if me != leaving and row is not None and row["status"] == ACTIVE else _an_admin(work, leaving)
    work.check(keys.principal(tenant, heir), "#status = :active", active=ACTIVE)
    return heir


def _an_admin(work: Work, leaving: str) -> str:
    found: dict[str, str] = {}
    after: str | None = None
    while "user" not in found:
        (rows,) = work.read(ranges=[starting_with(keys.directory(work.caller.tenant), keys.PRINCIPAL, after, _PAGE)])
        for row in rows:
            if (row["tenant_role"], row["status"]) == (TenantRole.ADMIN.key, ACTIVE) and row["id"] != leaving:
                found.setdefault(row["kind"], row["id"])
        if not rows.more:
            break
        after = rows[-1]["id"]
    if not found:
        raise NoHeir
    return found["user"] if "user" in found else found["service"]
