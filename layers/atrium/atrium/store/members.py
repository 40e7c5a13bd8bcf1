"""Members of a project.

A member is two rows, in the project and with the principal, written together with META of the project. A change of a
member holds the membership and the version of its row that it decided on (whoever is removed and added again in between
is another membership, with a version 1 of its own), and a hand-over raises the version of the heir's row: so
whichever of a hand-over and a removal or demotion of the heir commits second decides again on what the first one did.
A project always has exactly one named manager, who is a member with that role.
"""

from dataclasses import replace

from atrium import keys
from atrium.errors import Code, Conflict, Detail, Duplicate, Forbidden, Invalid, NamedManager, NotFound
from atrium.ids import new_id
from atrium.models import Member, Page, Project
from atrium.permissions import PROJECT_ROLES, Role, role_named
from atrium.store.access import Access
from atrium.store.engine.table import Item, starting_with
from atrium.store.engine.work import Work
from atrium.store.projects import MAX_MEMBERS, change_project, hold_project, member_row, open_project, require_active


class Members:
    """The members of projects, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    def list(self, space: str, project: str, *, limit: int, after: str | None) -> Page[Member]:
        """A project's members, by principal. Raises NotFound and Forbidden."""
        pk = keys.project(self._tenant, project).pk
        wanted = starting_with(pk, keys.ROLE, after, limit)
        found, access, (rows,) = open_project(self._work, project, space, ranges=[wanted])
        access.require_project_read()
        shown = [_to_member(found, row) for row in rows]
        return Page(tuple(shown), shown[-1].principal if rows.more else None)

    def get(self, space: str, project: str, principal: str) -> Member:
        """Raises NotFound and Forbidden."""
        key = keys.member(self._tenant, project, principal)
        found, access, _ = open_project(self._work, project, space, key)
        access.require_project_read()
        return self._member(found, key)

    def add(self, space: str | None, project: str, principal: str, role: Role | None) -> Member:
        """Raises NotFound, Forbidden, PreconditionFailed, Invalid for an unknown principal or role, Duplicate for one
        who is a member, Conflict when there are too many."""
        key = keys.member(self._tenant, project, principal)
        principal_key = keys.principal(self._tenant, principal)
        found, access, _ = open_project(self._work, project, space, key, principal_key)
        access.require_project_read()
        self._work.replay()
        granted = _grantable(access, role)
        self._work.match(None)
        require_active(found)
        if self._work.item(principal_key) is None:
            raise Invalid(Detail(("body", "principal_id"), "No such principal", "unknown_principal"))
        if self._work.item(key) is not None:
            raise Duplicate("The principal is a member of the project already.", Code.ALREADY_MEMBER)
        if found.members >= MAX_MEMBERS:
            raise Conflict(f"A project may have at most {MAX_MEMBERS:,} members.", Code.TOO_MANY_MEMBERS)
        now = self._work.now
        member = Member(
            membership=new_id(),
            tenant=self._tenant,
            project=project,
            principal=principal,
            role=granted,
            created_at=now,
            updated_at=now,
            version=1,
        )
        access.hold(self._work)
        change_project(self._work, found, "member.added", member.resource(), joined=1)
        self._work.put(key, member_row(member))
        self._work.put(keys.principal_project(self._tenant, principal, project), {"id": project, "space": found.space})
        self._work.check(principal_key, "attribute_exists(#pk)")
        return member

    def set_role(self, space: str, project: str, principal: str, role: Role | None) -> Member:
        """Raises NotFound, Forbidden, PreconditionFailed, Invalid for an unknown role, Conflict for demoting the named
        manager."""
        key = keys.member(self._tenant, project, principal)
        found, access, _ = open_project(self._work, project, space, key)
        access.require_project_read()
        self._work.replay()
        granted = _grantable(access, role)
        member = self._member(found, key)
        _require_not_above(access, member)
        self._work.match(member.tag)
        access.hold(self._work)
        if granted is member.role:
            hold_project(self._work, found)
            self._work.check(key, _AS_SEEN, seen_id=member.membership, seen_version=member.version)
            return member
        require_active(found)
        if granted is not Role.MANAGER:
            self._require_not_manager(found, principal)
        changed = replace(member, role=granted, updated_at=self._work.now, version=member.version + 1)
        change_project(self._work, found, "member.role_changed", changed.resource(), ["role_id"])
        self._work.update(
            key,
            "SET #role = :role, #updated_at = :now, #version = :version",
            _AS_SEEN,
            role=granted.key,
            now=changed.updated_at,
            version=changed.version,
            seen_id=member.membership,
            seen_version=member.version,
        )
        return changed

    def remove(self, space: str | None, project: str, principal: str) -> None:
        """Everybody may leave, but the named manager. Raises NotFound, Forbidden, PreconditionFailed, Conflict for the
        named manager, and when archived."""
        key = keys.member(self._tenant, project, principal)
        found, access, _ = open_project(self._work, project, space, key)
        access.require_project_read()
        if principal != self._work.caller.principal:
            access.require("member:manage", MAY_NOT_MANAGE)
        member = self._member(found, key)
        _require_not_above(access, member)
        self._work.match(member.tag if space else _NEVER_SHOWN)
        require_active(found)
        self._require_not_manager(found, principal)
        access.hold(self._work)
        change_project(self._work, found, "member.removed", member.resource(), joined=-1)
        self._work.delete(key, _AS_SEEN, seen_id=member.membership, seen_version=member.version)
        self._work.delete(keys.principal_project(self._tenant, principal, project))

    def _member(self, project: Project, key: keys.Key) -> Member:
        row = self._work.item(key)
        if row is None:
            raise NotFound("Member not found.", Code.MEMBER_NOT_FOUND)
        self._work.not_before(row["updated_at"])
        return _to_member(project, row)

    def _require_not_manager(self, project: Project, principal: str) -> None:
        """Raises NamedManager, for who is it now or at the commit: a batch may bring the member's row from after a
        hand-over, and META from before it."""
        if project.manager == principal:
            raise NamedManager
        self._work.check(keys.project(project.tenant, project.id), "#manager <> :leaving", leaving=principal)


# Of a member's row: the membership that was read, and as it was then.
_AS_SEEN = "#id = :seen_id AND #version = :seen_version"

# The flat dialect shows no version of a member: there is one, and no tag names it.
_NEVER_SHOWN = ""

MAY_NOT_MANAGE = "You may not manage the members of this project."


def _grantable(access: Access, role: Role | None) -> Role:
    """The role, if the caller may grant it on a project. Raises Forbidden and Invalid."""
    access.require("member:manage", MAY_NOT_MANAGE)
    if role not in PROJECT_ROLES:
        raise Invalid(Detail(("body", "role_id"), "No such role of projects. See GET /v1/roles", "unknown_role"))
    if not access.covers(role):
        raise Forbidden("You may not grant a role above your own.", Code.ROLE_ABOVE_OWN)
    return role


def _require_not_above(access: Access, member: Member) -> None:
    if not access.covers(member.role):
        raise Forbidden("You may not touch a member whose role is above your own.", Code.ROLE_ABOVE_OWN)


def _to_member(project: Project, row: Item) -> Member:
    return Member(
        membership=row["id"],
        tenant=project.tenant,
        project=project.id,
        principal=row["principal"],
        role=role_named(row["role"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row["version"],
    )
