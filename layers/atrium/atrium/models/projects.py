"""Projects, and what is shown together with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from atrium.documents import Raw
from atrium.ids import to_uuid
from atrium.models.records import Dataset, Decision, Experiment, Task, TaskStatus
from atrium.permissions import Role

Status = Literal["active", "archived"]


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
        """The form that events carry."""
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
    change of the project or below it, `members` its members. `is_childless` is
    true until the first task, or the first member besides its manager, is added, and never again. `last_events` are
    the ids of the events of its latest change."""

    client: str
    description: str
    version: int
    sequence: int
    members: int
    last_events: Sequence[str]
    is_childless: bool = False

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {**super().resource(), "description": Raw(self.description)}


class ShownTask(NamedTuple):
    """A task as its project shows it."""

    id: str
    name: str
    status: TaskStatus


class WholeProject(NamedTuple):
    """A project with the members other than its named manager, and its first tasks. `after` is the last one's id if
    there are more."""

    project: Project
    team: tuple[str, ...]
    tasks: tuple[ShownTask, ...]
    after: str | None = None

    @property
    def id(self) -> str:
        return self.project.id


class Report(NamedTuple):
    """All that a project has, for reading it in one piece. `after` names, for each kind of which there is more, the
    last record shown, or None if none of it is."""

    tasks: tuple[Task, ...]
    datasets: tuple[Dataset, ...]
    experiments: tuple[Experiment, ...]
    decisions: tuple[Decision, ...]
    stalled: tuple[Task, ...]
    after: dict[str, str | None]


class Joined(NamedTuple):
    """A project, by its id, in the list of those that a principal is a member of, with the principal's role."""

    id: str
    space: str
    name: str
    role: Role
    is_manager: bool

    def resource(self) -> dict[str, Any]:
        """The form that clients see."""
        return {
            "project_id": to_uuid(self.id),
            "space_id": to_uuid(self.space),
            "name": self.name,
            "role_id": self.role.uuid,
            "is_manager": self.is_manager,
        }
