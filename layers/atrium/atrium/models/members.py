"""Roles that principals have in spaces and projects."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from atrium.ids import to_uuid
from atrium.permissions import Role


@dataclass(frozen=True)
class Membership:
    """A role that a principal has in one place. `membership` is its own id: a principal who is removed and added again
    has another one."""

    membership: str
    tenant: str
    principal: str
    role: Role
    created_at: str
    updated_at: str
    version: int

    @property
    def id(self) -> str:
        """By which the list of its place is in order."""
        return self.principal

    @property
    def tag(self) -> str:
        """Its version, which never comes again under the same principal."""
        return f"{self.membership}-{self.version}"


@dataclass(frozen=True)
class Member(Membership):
    """A member of a project."""

    project: str

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {
            "tenant_id": to_uuid(self.tenant),
            "project_id": to_uuid(self.project),
            "principal_id": to_uuid(self.principal),
            "role_id": self.role.uuid,
            "status": "active",
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class SpaceMember(Membership):
    """A member of a space."""

    space: str

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "principal_id": to_uuid(self.principal),
            "role_id": self.role.uuid,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Who(NamedTuple):
    """A principal as a request names it: by its id, or else by its e-mail address."""

    principal: str | None
    email: str | None = None
