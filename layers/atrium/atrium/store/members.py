"""Members of a project.

A member is two rows, in the project and with the principal, written together with META of the project. A change of a
member holds the membership and the version of its row that it decided on: a principal that is removed and added again
in between has another membership, whose version is 1. A hand-over raises the version of the heir's row. So the second
to commit, of a hand-over and a removal or demotion of the heir, decides again on what the first one did. A project
always has exactly one named manager, who is a member with that role.
"""

from dataclasses import replace
from typing import Literal

from atrium import keys
from atrium.errors import Code, Conflict, Duplicate, Forbidden, NamedManager, NotFound, Unfit
from atrium.ids import new_id
from atrium.models import Member, Membership, Page, Project, Who
from atrium.permissions import PROJECT_ROLES, Role
from atrium.store.access import Access, leaves
from atrium.store.change import MAX_MEMBERS, Change, Opened, Way, begin_change, open_project, read_project
from atrium.store.engine.table import starting_with
from atrium.store.engine.work import Work
from atrium.store.people import Named
from atrium.store.rows import joined_row, member_row, to_member


class Members:
    """The members of projects, as the caller of one request may see and change them."""

    def __init__(self, work: Work, way: Way) -> None:
        self._work = work
        self._way = way
        self._tenant = work.caller.tenant

    def list(self, project: str, *, limit: int, after: str | None) -> Page[Member]:
        """A project's members, by principal. Raises NotFound and Forbidden."""
        pk = keys.project(self._tenant, project).pk
        wanted = starting_with(pk, keys.ROLE, after, limit)
        opened = read_project(self._work, self._way, project, ranges=[wanted])
        (rows,) = opened.rows
        shown = [to_member(opened.project, row) for row in rows]
        return Page(tuple(shown), shown[-1].principal if rows.more else None)

    def get(self, project: str, principal: str) -> Member:
        """Raises NotFound and Forbidden."""
        key = keys.member(self._tenant, project, principal)
        return self._member(read_project(self._work, self._way, project, key).project, key)

    def add(self, project: str, who: Who, role: Role | None) -> Member:
        """Raises NotFound, Forbidden, VersionRefused, Invalid for an unknown principal or role, Duplicate for one
        that is a member, Conflict for one that is suspended, or when there are too many."""
        named = Named(self._work, who, lambda principal: keys.member(self._tenant, project, principal))
        opened = open_project(self._work, self._way, project, *named.first)
        change, granted = begin_change(
            self._work, opened, "member:manage", judge=lambda: (_grantable(opened.access, role), None)
        )
        person, key = named.found()
        if self._work.item(key) is not None:
            raise Duplicate("The principal is a member of the project already.", Code.ALREADY_MEMBER)
        if opened.project.members >= MAX_MEMBERS:
            raise Conflict(f"A project may have at most {MAX_MEMBERS:,} members.", Code.TOO_MANY_MEMBERS)
        now = self._work.now
        member = Member(
            membership=new_id(),
            tenant=self._tenant,
            project=project,
            principal=person["id"],
            role=granted,
            created_at=now,
            updated_at=now,
            version=1,
        )
        change.write("member.added", member.resource(), joined=1)
        self._work.put(key, member_row(member))
        self._work.put(keys.principal_project(self._tenant, member.principal, project), joined_row(opened.project))
        return member

    def set_role(self, project: str, principal: str, role: Role | None) -> Member:
        """Raises NotFound, Forbidden, VersionRefused, Invalid for an unknown role, Conflict for demoting the named
        manager."""
        key = keys.member(self._tenant, project, principal)
        opened = open_project(self._work, self._way, project, key)

        def judge() -> tuple[tuple[Role, Member], str]:
            granted, member = _grantable(opened.access, role), self._touched(opened, key)
            return (granted, member), member.tag

        change, (granted, member) = begin_change(self._work, opened, "member:manage", judge=judge, archived="no change")
        if granted is member.role:
            change.nothing()
            self._work.check(key, AS_SEEN, seen_id=member.membership, seen_version=member.version)
            return member
        change.require_active()
        if granted is not Role.MANAGER:
            self._require_not_manager(change, principal)
        changed = replace(member, role=granted, updated_at=self._work.now, version=member.version + 1)
        change.write("member.role_changed", changed.resource(), ["role_id"])
        self._work.update(
            key,
            "SET #role = :role, #updated_at = :now, #version = :version",
            AS_SEEN,
            role=granted.key,
            now=changed.updated_at,
            version=changed.version,
            seen_id=member.membership,
            seen_version=member.version,
        )
        return changed

    def remove(self, project: str, principal: str) -> None:
        """Each member may leave, but the named manager, and not with a credential that is narrowed to some
        permissions. Raises NotFound, Forbidden, VersionRefused, Conflict for the named manager, and when archived."""
        key = keys.member(self._tenant, project, principal)
        opened = open_project(self._work, self._way, project, key)
        is_leaving = leaves(self._work, opened.access, principal, "member:manage")
        needed: Literal["project:read", "member:manage"] = "project:read" if is_leaving else "member:manage"

        def judge() -> tuple[Member, str]:
            member = self._touched(opened, key)
            return member, _NEVER_SHOWN if self._way.shows_whole else member.tag

        change, member = begin_change(self._work, opened, needed, judge=judge)
        self._require_not_manager(change, principal)
        change.write("member.removed", member.resource(), joined=-1)
        self._work.delete(key, AS_SEEN, seen_id=member.membership, seen_version=member.version)
        self._work.delete(keys.principal_project(self._tenant, principal, project))

    def _member(self, project: Project, key: keys.Key) -> Member:
        row = self._work.item(key)
        if row is None:
            raise NotFound("Member not found.", Code.MEMBER_NOT_FOUND)
        self._work.not_before(row["updated_at"])
        return to_member(project, row)

    def _touched(self, opened: Opened, key: keys.Key) -> Member:
        """A member whom the caller may change. Raises NotFound and Forbidden."""
        member = self._member(opened.project, key)
        require_touchable(opened.access, member)
        return member

    def _require_not_manager(self, change: Change, principal: str) -> None:
        """Raises NamedManager for the manager of now or of the commit: a batch may bring the member's row from after a
        hand-over, and META from before it."""
        if change.project.manager == principal:
            raise NamedManager
        self._work.check(change.key, "#manager <> :leaving", leaving=principal)


# A member's row, of a project or a space: the membership that was read, and as it was then.
AS_SEEN = "#id = :seen_id AND #version = :seen_version"

# The version of a member where none is shown: it exists, and no request can name it.
_NEVER_SHOWN = ""


def _grantable(access: Access, role: Role | None) -> Role:
    """The role, if the caller may grant it on a project. Raises Forbidden and Invalid."""
    if role not in PROJECT_ROLES:
        raise Unfit("role", "unknown_role", "No such role of projects")
    require_grantable(access, role)
    return role


def require_grantable(access: Access, role: Role) -> None:
    """Raises Forbidden for a role that permits more than the caller may do."""
    if not access.covers(role):
        raise Forbidden("You may not grant a role above your own.", Code.ROLE_ABOVE_OWN)


def require_touchable(access: Access, member: Membership) -> None:
    """Raises Forbidden for a member whose role permits more than the caller may do."""
    if not access.covers(member.role):
        raise Forbidden("You may not touch a member whose role is above your own.", Code.ROLE_ABOVE_OWN)
