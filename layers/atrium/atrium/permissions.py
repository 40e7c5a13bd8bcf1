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
    "space:create",
    "principal:manage",
    "credential:manage",
    "event:read",
    "webhook:manage",
    "tenant:update",
]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

_READS: frozenset[Permission] = frozenset(("project:read", "member:read"))
_WORKS = _READS | {"project:create", "project:update", "record:write"}
_MANAGES = _WORKS | {"member:manage", "project:delete", "project:transfer"}
_OWNS = _MANAGES | {"space:manage"}

# Those that are about the tenant, and no space of it.
TENANT_PERMISSIONS: frozenset[Permission] = frozenset(PERMISSIONS) - _OWNS


class Role(Enum):
    """A role in a space or a project: its id, which clients keep and which never changes, and its permissions.

    `project:create` and `space:manage` are asked of a role in a space only.
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
        return in_order(self.permits)


class TenantRole(Enum):
    """A role in the tenant. An admin has, besides, what an owner has in every space that it names."""

    ADMIN = TENANT_PERMISSIONS
    MEMBER = frozenset[Permission]()

    @property
    def permits(self) -> frozenset[Permission]:
        return self.value

    @property
    def key(self) -> str:
        """The name under which the role is stored and shown."""
        return self.name.lower()


# The roles that a member of a project may have. Owner is a role of spaces only.
PROJECT_ROLES = (Role.VIEWER, Role.CONTRIBUTOR, Role.MANAGER)


def in_order(permissions: frozenset[Permission]) -> list[str]:
    """Permissions in the catalogue's order."""
    return [permission for permission in PERMISSIONS if permission in permissions]


def role_named(key: str) -> Role:
    """The role stored under `key`. Raises KeyError."""
    return Role[key.upper()]


def tenant_role_named(key: str) -> TenantRole:
    """The role in the tenant that is stored under `key`. Raises KeyError."""
    return TenantRole[key.upper()]


def role_with_id(id: str) -> Role | None:
    return next((role for role in Role if role.id == id), None)
