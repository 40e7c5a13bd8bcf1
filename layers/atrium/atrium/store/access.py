"""What a caller may do, and the condition under which that still holds when its change commits."""

from dataclasses import dataclass

from atrium import keys
from atrium.errors import Code, Forbidden, no_access
from atrium.keys import Key
from atrium.models import Caller
from atrium.roles import WEAKEST, Role, role_named
from atrium.store.engine.table import Item
from atrium.store.engine.work import Work


@dataclass(frozen=True)
class Access:
    """The stronger of a caller's space role and project role, and where that role is kept.

    `holder` is the item, `attribute` the path of the role in it; both are None for a caller without a role.
    """

    role: Role | None
    holder: Key | None = None
    attribute: str = ""

    def allows(self, permission: str) -> bool:
        return self.role is not None and self.role >= WEAKEST[permission]

    @property
    def is_manager(self) -> bool:
        """Manager or more: what the flat dialect calls the project manager."""
        return self.role is not None and self.role >= Role.MANAGER

    def require(self, permission: str, otherwise: str) -> None:
        """Raises Forbidden, with the message `otherwise` and the permission's code."""
        if not self.allows(permission):
            raise Forbidden(otherwise, Code[f"{permission.replace(':', '_')}_required".upper()])

    def require_project_read(self) -> None:
        if not self.allows("project:read"):
            raise no_access()

    def hold(self, work: Work) -> None:
        """The role must be unchanged when the work commits, or the caller is judged anew."""
        if self.role is not None and self.holder is not None:
            work.check(self.holder, f"{self.attribute} = :held", held=self.role.key)


def space_access(caller: Caller, principal: Item | None, space: str) -> Access:
    """By the role in the space alone. `principal` is the caller's item."""
    key = principal["spaces"].get(space) if principal else None
    if key is None:
        return Access(None)
    return Access(role_named(key), keys.principal(caller.tenant, caller.principal), f"#spaces.#{space}")


def project_access(caller: Caller, principal: Item | None, space: str, member: Item | None) -> Access:
    """By the stronger of the role in the project's space and the role in the project. `member` is the caller's row."""
    in_space = space_access(caller, principal, space)
    if member is None:
        return in_space
    in_project = Access(role_named(member["role"]), Key(member["pk"], member["sk"]), "#role")
    return in_space if in_space.role and in_project.role and in_space.role >= in_project.role else in_project
