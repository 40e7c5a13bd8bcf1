"""The permissions, and the roles that have them: the same in every tenant.

A role is a named set of permissions. A caller who grants a role, or changes a member who has one, needs all that the
role permits. Today each role permits all that the one before it does; nothing rests on that.
"""

from enum import Enum
from typing import Literal, get_args

from atrium.ids import to_uuid

# In the order in which a role shows its permissions.
Permission = Literal[
    "project:read",
    "member:read",
    "project:create",
    "project:update",
    "record:write",
    "member:manage",
    "project:delete",
    "project:transfer",
    "space:manage",
    "event:read",
]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

_READS: frozenset[Permission] = frozenset(("project:read", "member:read"))
_WORKS = _READS | {"project:create", "project:update", "record:write"}
_MANAGES = _WORKS | {"member:manage", "project:delete", "project:transfer"}
_OWNS = _MANAGES | {"space:manage", "event:read"}


class Role(Enum):
    """A role: its id, which clients keep and which never changes, and its permissions.

    `project:create` and `space:manage` are asked of a role in a space only, `event:read` of one in the default space.
    """

    VIEWER = "000000000000000000000001", _READS
    CONTRIBUTOR = "000000000000000000000002", _WORKS
    MANAGER = "000000000000000000000003", _MANAGES
    OWNER = "000000000000000000000004", _OWNS

    def __init__(self, id: str, permits: frozenset[Permission]) -> None:
        self.id = id
        self.permits = permits

    @property
    def key(self) -> str:
        """The name under which the role is stored and shown."""
        return self.name.lower()

    @property
    def uuid(self) -> str:
        return to_uuid(self.id)

    @property
    def permissions(self) -> list[str]:
        """In the catalogue's order."""
        return [permission for permission in PERMISSIONS if permission in self.permits]


# The roles that a member of a project may have. Owner is a role of spaces only.
PROJECT_ROLES = (Role.VIEWER, Role.CONTRIBUTOR, Role.MANAGER)


def role_named(key: str) -> Role:
    """The role stored under `key`. Raises KeyError."""
    return Role[key.upper()]


def role_with_id(id: str) -> Role | None:
    return next((role for role in Role if role.id == id), None)
