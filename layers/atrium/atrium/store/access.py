"""The access of a caller, and the condition under which it still holds when the caller's change commits.

A caller has grants: its role in the project, the one in the project's space, and all that an owner may, for an admin of
the tenant. Its access is all that they permit together, or the part of that which its credential is narrowed to. A
write holds the grants that it rests on, a role before the tenant's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from atrium import keys
from atrium.errors import Code, Forbidden
from atrium.keys import Key
from atrium.models import Caller
from atrium.permissions import TENANT_PERMISSIONS, Permission, Role, TenantRole, role_named, tenant_role_named
from atrium.store.engine.table import Item
from atrium.store.engine.work import Work

# The message for a caller without a permission.
_REFUSED: dict[Permission, str] = {
    "project:create": "You may not create projects in this space.",
    "project:update": "You may not change this project.",
    "project:transfer": "You may not hand this project over.",
    "project:delete": "You may not delete this project.",
    "member:manage": "You may not manage the members of this project.",
    "record:write": "You may not change the records of this project.",
    "space:manage": "You may not change this space.",
    "space:create": "You may not create or delete spaces.",
    "principal:manage": "You may not manage the principals of this tenant.",
    "credential:manage": "You may not manage the credentials of other principals.",
    "tenant:update": "You may not change this tenant.",
    "event:read": "You may not read the events of this tenant.",
    "webhook:manage": "You may not manage the webhooks of this tenant.",
}


def refused(permission: Permission) -> Forbidden:
    """The refusal of a caller without a permission."""
    return Forbidden(_REFUSED[permission], Code[f"{permission.replace(':', '_')}_required".upper()])


def beyond_credential() -> Forbidden:
    """The refusal of a caller who may do it, but not with this credential."""
    return Forbidden(
        "Your credential is narrowed and does not permit this, though you may do it with one that does.",
        Code.CREDENTIAL_NARROWED,
    )


def enrols_only() -> Forbidden:
    """The refusal of a caller whose secret only enrols it."""
    message = "Your credential only enrols you. Rotate it, and send the secret of that answer."
    return Forbidden(message, Code.ENROLMENT_ONLY)


class AsManager(NamedTuple):
    """All that a manager may, asked of whoever would `update` or `delete` a project that is shown whole."""

    act: str


Requirement = Permission | AsManager


class Grant(NamedTuple):
    """A row from which permissions follow, as long as its `attribute` has this value."""

    permits: frozenset[Permission]
    row: Key
    attribute: str
    value: str


class Access:
    """The access of a caller to a `place`, a space or a project, or to its tenant. Records what it is asked for and
    permits, so that `hold` holds no more than that rests on."""

    def __init__(self, grants: Sequence[Grant], narrowed_to: frozenset[Permission] | None, place: str) -> None:
        self._grants = grants
        self._place = place
        self._granted = frozenset[Permission]().union(*(grant.permits for grant in grants))
        self._permits = self._granted if narrowed_to is None else self._granted & narrowed_to
        self._used: frozenset[Permission] = frozenset()

    def allows(self, permission: Permission) -> bool:
        return self._allow(frozenset((permission,)))

    def covers(self, role: Role | TenantRole) -> bool:
        """Whether the caller may do all that the role permits."""
        return self._allow(role.permits)

    def grants(self, role: Role) -> bool:
        """Whether the caller may do all that the role permits with a credential that is not narrowed."""
        return role.permits <= self._granted

    def require(self, requirement: Requirement) -> None:
        """Raises Forbidden; a caller that may not even read is told that first, unless a manager is required."""
        if isinstance(requirement, AsManager):
            if not self.covers(Role.MANAGER):
                if self.grants(Role.MANAGER):
                    raise beyond_credential()
                raise Forbidden(f"Only the project manager can {requirement.act} this project.", Code.MANAGER_REQUIRED)
            return
        if requirement not in TENANT_PERMISSIONS:
            self._require_one("project:read")
        self._require_one(requirement)

    def hold(self, work: Work) -> None:
        """Holds that what was asked for is still granted at the commit; else the caller is judged anew."""
        left = self._used
        for grant in sorted(self._grants, key=lambda grant: not left <= grant.permits):
            if left & grant.permits:
                work.check(grant.row, f"#{grant.attribute} = :held", held=grant.value)
                left -= grant.permits

    def _require_one(self, permission: Permission) -> None:
        if self.allows(permission):
            return
        if permission in self._granted:
            raise beyond_credential()
        if permission == "project:read":
            raise Forbidden(f"You do not have access to this {self._place}.", Code.PROJECT_READ_REQUIRED)
        raise refused(permission)

    def _allow(self, permissions: frozenset[Permission]) -> bool:
        if not permissions <= self._permits:
            return False
        self._used |= permissions
        return True


def tenant_access(work: Work) -> Access:
    """The caller's access to its tenant as a whole."""
    return Access(_as_admin(work, TenantRole.ADMIN.permits), _narrowed(work.caller, None, None), "tenant")


def space_access(work: Work, space: str) -> Access:
    """By the role in the space, and as an admin of the tenant."""
    grants = _in_space(work, space) + _as_admin(work, Role.OWNER.permits)
    return Access(grants, _narrowed(work.caller, space, None), "space")


def project_access(work: Work, space: str, project: str, member: Item | None) -> Access:
    """By the role in the project, too. `member` is the caller's row in it."""
    mine = [_of(role_named(member["role"]), Key(member["pk"], member["sk"]))] if member else []
    grants = _in_space(work, space) + mine + _as_admin(work, Role.OWNER.permits)
    return Access(grants, _narrowed(work.caller, space, project), "project")


def acts_as_admin(work: Work, space: str) -> bool:
    """Whether the caller may manage a space for being an admin of the tenant, whatever its role in the space. If so,
    holds that."""
    access = Access(_as_admin(work, Role.OWNER.permits), _narrowed(work.caller, space, None), "space")
    if not access.allows("space:manage"):
        return False
    access.hold(work)
    return True


def leaves(work: Work, access: Access, member: str, permission: Permission) -> bool:
    """Whether the caller who removes this member leaves, which takes no permission. Raises Forbidden for one whose
    credential is narrowed to some permissions, without the one to remove others."""
    narrowed = work.caller.narrowed
    if member != work.caller.principal:
        return False
    if narrowed is None or narrowed.permissions is None:
        return True
    if not access.allows(permission):
        raise beyond_credential()
    return False


def is_admin(work: Work) -> bool:
    """Whether the caller is an admin of its tenant."""
    return tenant_role_named(work.me["tenant_role"]) is TenantRole.ADMIN


def _in_space(work: Work, space: str) -> list[Grant]:
    """The role in a space is read from the principal's item, and kept in the space's row of its member too, which is
    written with it: that row is small, and changes less often."""
    role = work.me["spaces"].get(space)
    caller = work.caller
    return [_of(role_named(role), keys.space_member(caller.tenant, space, caller.principal))] if role else []


def _as_admin(work: Work, permits: frozenset[Permission]) -> list[Grant]:
    if not is_admin(work):
        return []
    return [Grant(permits, work.my_key, "tenant_role", TenantRole.ADMIN.key)]


def _of(role: Role, row: Key) -> Grant:
    return Grant(role.permits, row, "role", role.key)


def _narrowed(caller: Caller, space: str | None, project: str | None) -> frozenset[Permission] | None:
    return caller.narrowed.within(space, project) if caller.narrowed else None
