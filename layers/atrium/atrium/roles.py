"""The fixed catalogue of roles: totally ordered, the same in every tenant."""

from enum import IntEnum

from atrium.ids import to_uuid


class Role(IntEnum):
    """A role; its value is its rank. A stronger role may do all that a weaker one may."""

    VIEWER = 1
    CONTRIBUTOR = 2
    MANAGER = 3
    OWNER = 4

    @property
    def key(self) -> str:
        """The name it is stored and shown under."""
        return self.name.lower()

    @property
    def id(self) -> str:
        """Its well-known id."""
        return f"{self.value:024x}"

    @property
    def uuid(self) -> str:
        return to_uuid(self.id)

    @property
    def permissions(self) -> list[str]:
        return [permission for permission, weakest in WEAKEST.items() if self >= weakest]


# The weakest role that has each permission. project:create and space:manage are held by space roles only.
WEAKEST = {
    "project:read": Role.VIEWER,
    "member:read": Role.VIEWER,
    "project:create": Role.CONTRIBUTOR,
    "project:update": Role.CONTRIBUTOR,
    "record:write": Role.CONTRIBUTOR,
    "member:manage": Role.MANAGER,
    "project:delete": Role.MANAGER,
    "project:transfer": Role.MANAGER,
    "space:manage": Role.OWNER,
}

# Owner is a role of spaces only.
PROJECT_ROLES = (Role.VIEWER, Role.CONTRIBUTOR, Role.MANAGER)


def role_named(key: str) -> Role:
    """The role stored under `key`; raises KeyError."""
    return Role[key.upper()]


def role_with_id(id: str) -> Role | None:
    return next((role for role in Role if role.id == id), None)
