"""What Atrium's things are. Values only: how they are kept is `store`'s, how they are shown is `api`'s."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

from atrium.documents import Raw
from atrium.ids import to_uuid
from atrium.roles import Role

Status = Literal["active", "archived"]
T = TypeVar("T")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Caller:
    """Who is asking, as the authorizer said. `kind` is `user` or `service`."""

    tenant: str
    principal: str
    kind: str


@dataclass(frozen=True)
class ProjectRow:
    """A project as its space lists it: without its description, which may be 32 KB."""

    id: str
    tenant: str
    space: str
    name: str
    manager: str
    created_by: str
    status: Status
    created_at: str
    updated_at: str

    def resource(self) -> dict[str, Any]:
        """Its v1 form."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "name": self.name,
            "manager_id": to_uuid(self.manager),
            "created_by": to_uuid(self.created_by),
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class Project(ProjectRow):
    """A project's own fields. `description` is JSON text; `version` counts changes of these fields, `sequence` every
    change of the project or below it."""

    client: str
    description: str
    version: int
    sequence: int

    def resource(self) -> dict[str, Any]:
        """Its v1 form: what clients of /v1 see and what events carry."""
        return {**super().resource(), "description": Raw(self.description)}


@dataclass(frozen=True)
class WholeProject:
    """A project with the members other than its named manager, and its tasks as stored."""

    project: Project
    team: tuple[str, ...]
    tasks: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Member:
    tenant: str
    project: str
    principal: str
    role: Role
    created_at: str
    updated_at: str
    version: int

    def resource(self) -> dict[str, Any]:
        """Its v1 form."""
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
class Principal:
    id: str
    tenant: str
    kind: str
    name: str
    email: str
    spaces: dict[str, Role]


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list. `after` is the id that the next page starts behind, None on the last page."""

    items: tuple[T, ...]
    after: str | None
