"""The access of a caller, and the condition under which it still holds when the caller's change commits."""

from typing import NamedTuple

from atrium import keys
from atrium.errors import Code, Forbidden
from atrium.keys import Key
from atrium.models import Caller
from atrium.permissions import Permission, Role, role_named
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
    "event:read": "You may not read the events of this tenant.",
}


def refused(permission: Permission) -> Forbidden:
    """The refusal of a caller without a permission."""
    return Forbidden(_REFUSED[permission], Code[f"{permission.replace(':', '_')}_required".upper()])


class AsManager(NamedTuple):
    """All that a manager may, asked of whoever would `update` or `delete` a project that is shown whole."""

    act: str


Requirement = Permission | AsManager


class Access(NamedTuple):
    """A caller's role, in a space or a project (`place`), and the row that keeps the role.

    `holder` is the row's key, None for a caller without a role. A role in a space is read from the principal's item,
    and kept in the space's row of its member too, which is written with it: that row is small, and changes less often.
    """

    role: Role | None
    holder: Key | None = None
    place: str = "project"

    def allows(self, permission: Permission) -> bool:
        return self.role is not None and permission in self.role.permits

    def covers(self, role: Role) -> bool:
        """Whether the caller may do all that the role permits."""
        return self.role is not None and self.role.permits >= role.permits

    def require(self, requirement: Requirement) -> None:
        """Raises Forbidden; a caller that may not even read is told that first, unless a manager is required."""
        if isinstance(requirement, AsManager):
            if not self.covers(Role.MANAGER):
                raise Forbidden(f"Only the project manager can {requirement.act} this project.", Code.MANAGER_REQUIRED)
            return
        if not self.allows("project:read"):
            raise Forbidden(f"You do not have access to this {self.place}.", Code.PROJECT_READ_REQUIRED)
        if not self.allows(requirement):
            raise refused(requirement)

    def hold(self, work: Work) -> None:
        """Holds that the role is unchanged at the commit; else the caller is judged anew."""
        if self.role is not None and self.holder is not None:
            work.check(self.holder, "#role = :held", held=self.role.key)


def space_access(caller: Caller, principal: Item | None, space: str, place: str = "space") -> Access:
    """By the role in the space alone. `principal` is the caller's item."""
    key = principal["spaces"].get(space) if principal else None
    if key is None:
        return Access(None, place=place)
    return Access(role_named(key), keys.space_member(caller.tenant, space, caller.principal), place)


def project_access(caller: Caller, principal: Item | None, space: str, member: Item | None) -> Access:
    """By the role in the project, or the one in its space where that permits as much. `member` is the caller's row."""
    in_space = space_access(caller, principal, space, "project")
    if member is None:
        return in_space
    role = role_named(member["role"])
    return in_space if in_space.covers(role) else Access(role, Key(member["pk"], member["sk"]))
