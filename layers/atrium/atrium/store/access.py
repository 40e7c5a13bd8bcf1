"""What a caller may do, and the condition under which that still holds when its change commits."""

from dataclasses import dataclass

from atrium import keys
from atrium.errors import Code, Forbidden, no_access
from atrium.keys import Key
from atrium.models import Caller
from atrium.permissions import Permission, Role, role_named
from atrium.store.engine.table import Item
from atrium.store.engine.work import Work


@dataclass(frozen=True)
class Access:
    """A caller's role, in a space or a project, and the row that keeps it.

    `holder` is the row's key, `attribute` the path of the role in the row; both are None for a caller without a role.
    """

    role: Role | None
    holder: Key | None = None
    attribute: str = ""

    def allows(self, permission: Permission) -> bool:
        return self.role is not None and permission in self.role.permits

    def covers(self, role: Role) -> bool:
        """Whether the caller may do all that the role permits."""
        return self.role is not None and self.role.permits >= role.permits

    def require(self, permission: Permission, otherwise: str) -> None:
        """Raises Forbidden, with the message `otherwise` and the permission's code."""
        if not self.allows(permission):
            raise Forbidden(otherwise, Code[f"{permission.replace(':', '_')}_required".upper()])

    def require_project_read(self) -> None:
        """Raises Forbidden."""
        if not self.allows("project:read"):
            raise no_access()

    def hold(self, work: Work) -> None:
        """Holds that the role is unchanged at the commit; else the caller is judged anew."""
        if self.role is not None and self.holder is not None:
            work.check(self.holder, f"{self.attribute} = :held", held=self.role.key)


def space_access(caller: Caller, principal: Item | None, space: str) -> Access:
    """By the role in the space alone. `principal` is the caller's item."""
    key = principal["spaces"].get(space) if principal else None
    if key is None:
        return Access(None)
    return Access(role_named(key), keys.principal(caller.tenant, caller.principal), f"#spaces.#{space}")


def project_access(caller: Caller, principal: Item | None, space: str, member: Item | None) -> Access:
    """By the role in the project, or the one in its space where that permits as much. `member` is the caller's row."""
    in_space = space_access(caller, principal, space)
    if member is None:
        return in_space
    role = role_named(member["role"])
    return in_space if in_space.covers(role) else Access(role, Key(member["pk"], member["sk"]), "#role")
