"""The things below a project: tasks with their notes, datasets, experiments, decisions."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from atrium.documents import Raw
from atrium.ids import to_uuid

Phase = Literal["business", "data_understanding", "data_preparation", "modeling", "evaluation", "deployment"]
TaskStatus = Literal["pending", "onHold", "inProgress", "underReview", "completed"]
Priority = Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Record:
    """A thing below a project. A subclass is a kind, its own attributes the fields of the kind."""

    kind: ClassVar[str]

    id: str
    tenant: str
    space: str
    project: str
    created_by: str
    created_at: str
    updated_at: str
    version: int

    @property
    def whole_version(self) -> str:
        """The version of the record together with all that is shown with it."""
        return str(self.version)

    def fields(self) -> dict[str, Any]:
        """The kind's own fields, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OF_EVERY_RECORD}

    def resource(self) -> dict[str, Any]:
        """The form that events carry."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "space_id": to_uuid(self.space),
            "project_id": to_uuid(self.project),
            **self.fields(),
            "created_by": to_uuid(self.created_by),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


_OF_EVERY_RECORD = frozenset(field.name for field in fields(Record))


@dataclass(frozen=True)
class Task(Record):
    """`completed` is a checkbox and has nothing to do with `status`. `started_at` is when the task first left pending,
    `finished_at` when it last became completed, None while it is not. `completed_by` holds the latest changes of the
    status. `estimated_hours` is JSON text of a number, `deadline` a day or a moment. `note_changes` counts what
    happened to the notes, which are no part of the task's own version."""

    kind = "task"

    name: str
    description: str
    phase: Phase
    status: TaskStatus
    completed: bool
    assigned_to: str | None
    estimated_hours: str | None
    priority: Priority | None
    deadline: str | None
    started_at: str | None
    finished_at: str | None
    completed_by: list[dict[str, str]]
    note_changes: int = 0

    @property
    def whole_version(self) -> str:
        return f"{self.version}-{self.note_changes}"

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in super().fields().items() if name != "note_changes"}

    def resource(self) -> dict[str, Any]:
        return super().resource() | {
            "assigned_to": self.assigned_to and to_uuid(self.assigned_to),
            "estimated_hours": self.hours,
            "completed_by": [
                {"principal_id": to_uuid(entry["principal"]), "status": entry["status"], "at": entry["at"]}
                for entry in self.completed_by
            ],
        }

    @property
    def due(self) -> str | None:
        """The deadline as a moment: a day is its midnight, in UTC."""
        is_day = self.deadline is not None and "T" not in self.deadline
        return f"{self.deadline}T00:00:00.000Z" if is_day else self.deadline

    @property
    def hours(self) -> Raw | None:
        return None if self.estimated_hours is None else Raw(self.estimated_hours)


@dataclass(frozen=True)
class Dataset(Record):
    """`records` is how many the dataset has."""

    kind = "dataset"

    name: str
    source: str
    description: str
    acquisition_date: str
    phase: Phase
    records: int


@dataclass(frozen=True)
class Experiment(Record):
    kind = "experiment"

    name: str
    algorithm_model: str
    parameters: str
    metric: str
    result: str
    conclusion: str
    phase: Phase


@dataclass(frozen=True)
class Decision(Record):
    kind = "decision"

    description: str
    justification: str
    alternatives: str
    phase: Phase


@dataclass(frozen=True)
class Note:
    """A note on a task. It never changes."""

    version: ClassVar[int] = 1

    id: str
    tenant: str
    space: str
    project: str
    task: str
    content: str
    created_by: str
    created_at: str

    def resource(self) -> dict[str, Any]:
        """The form that events carry: without the space, which the event names."""
        return {
            "id": to_uuid(self.id),
            "tenant_id": to_uuid(self.tenant),
            "project_id": to_uuid(self.project),
            "task_id": to_uuid(self.task),
            "content": self.content,
            "created_by": to_uuid(self.created_by),
            "created_at": self.created_at,
        }
