"""Records in the v1 dialect."""

from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler import Depends
from pydantic import ConfigDict, Field, Strict, WithJsonSchema
from typing_extensions import TypedDict

from atrium import models
from atrium.api.records import (
    Count,
    DatasetFields,
    Deadline,
    DecisionFields,
    ExperimentFields,
    Hours,
    Moment,
    NewTaskFields,
)
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import NOT_GIVEN, Change, Cursor, Id, InSpace, Limit, Page, ResourceView, Sent, page_of, v1_api
from atrium.ids import to_uuid
from atrium.models import Phase, Priority, TaskStatus
from atrium.store import records, tasks
from atrium.store.change import in_space
from atrium.store.engine.work import Work
from atrium.text import Name, OptionalText, Text

__all__ = [
    "Cursor",
    "Datasets",
    "Decisions",
    "Experiments",
    "Id",
    "Limit",
    "Page",
    "Phase",
    "Tasks",
    "lambda_handler",
    "page_of",
    "v1_api",
]

# ---------------------------------------------------------------- the parts of the store that a route takes

_OurWork = Annotated[Work, Depends(request_work)]


def _tasks(work: _OurWork) -> InSpace[tasks.Tasks]:
    return InSpace(lambda space: tasks.Tasks(work, in_space(space)))


def _datasets(work: _OurWork) -> InSpace[records.Records[models.Dataset]]:
    return InSpace(lambda space: records.Records(work, in_space(space), models.Dataset))


def _experiments(work: _OurWork) -> InSpace[records.Records[models.Experiment]]:
    return InSpace(lambda space: records.Records(work, in_space(space), models.Experiment))


def _decisions(work: _OurWork) -> InSpace[records.Records[models.Decision]]:
    return InSpace(lambda space: records.Records(work, in_space(space), models.Decision))


Tasks = Annotated[InSpace[tasks.Tasks], Depends(_tasks)]
Datasets = Annotated[InSpace[records.Records[models.Dataset]], Depends(_datasets)]
Experiments = Annotated[InSpace[records.Records[models.Experiment]], Depends(_experiments)]
Decisions = Annotated[InSpace[records.Records[models.Decision]], Depends(_decisions)]

# ---------------------------------------------------------------- inputs


class NewTask(NewTaskFields, Sent):
    assigned_to: Id | None = None
    completed: Annotated[bool, Strict()] = False


class NewDataset(DatasetFields, Sent):
    pass


class NewExperiment(ExperimentFields, Sent):
    pass


class NewDecision(DecisionFields, Sent):
    pass


class NewNote(Sent):
    model_config = ConfigDict(json_schema_extra={"example": {"content": "The export of 2023 lacks December."}})

    content: Text


class TaskChange(Change):
    name: Name = NOT_GIVEN
    description: Text = NOT_GIVEN
    estimated_hours: Hours | None = NOT_GIVEN
    priority: Priority | None = NOT_GIVEN
    deadline: Deadline | None = NOT_GIVEN
    phase: Phase = NOT_GIVEN
    status: TaskStatus = NOT_GIVEN
    assigned_to: Id | None = NOT_GIVEN
    completed: Annotated[bool, Strict()] = NOT_GIVEN


class DatasetChange(Change):
    name: Name = NOT_GIVEN
    source: Text = NOT_GIVEN
    description: Text = NOT_GIVEN
    acquisition_date: Moment = NOT_GIVEN
    phase: Phase = NOT_GIVEN
    records: Count = NOT_GIVEN


class ExperimentChange(Change):
    name: Name = NOT_GIVEN
    algorithm_model: Text = NOT_GIVEN
    parameters: Text = NOT_GIVEN
    metric: Text = NOT_GIVEN
    result: Text = NOT_GIVEN
    conclusion: Text = NOT_GIVEN
    phase: Phase = NOT_GIVEN


class DecisionChange(Change):
    description: Text = NOT_GIVEN
    justification: Text = NOT_GIVEN
    phase: Phase = NOT_GIVEN
    alternatives: OptionalText = NOT_GIVEN


# ---------------------------------------------------------------- views


class RecordView(ResourceView):
    id: str
    tenant_id: str
    space_id: str
    project_id: str
    created_by: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, record: models.Record) -> Self:
        return cls.show(record.resource(), version=record.version)


class StatusChange(TypedDict):
    principal_id: str
    status: TaskStatus
    at: str


class TaskView(RecordView):
    name: str
    description: str
    phase: Phase
    status: TaskStatus
    completed: bool
    assigned_to: str | None
    estimated_hours: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})]
    priority: models.Priority | None
    deadline: str | None
    started_at: str | None
    finished_at: str | None
    completed_by: list[StatusChange]


class NoteView(ResourceView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0f2",
                "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
                "space_id": "123e4567-e89b-12d3-a456-426614174000",
                "project_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
                "task_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e1",
                "content": "The export of 2023 lacks December.",
                "created_by": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d0",
                "created_at": "2025-04-07T08:15:00Z",
            }
        }
    )

    id: Annotated[str, Field(description="The note's id, for the path that deletes it.")]
    tenant_id: str
    space_id: str
    project_id: str
    task_id: Annotated[str, Field(description="The id of the task that it is on.")]
    content: str
    created_by: str
    created_at: str

    @classmethod
    def of(cls, note: models.Note) -> Self:
        return cls.show({**note.resource(), "space_id": to_uuid(note.space)}, version=note.version)


class DatasetView(DatasetFields, RecordView):
    pass


class ExperimentView(ExperimentFields, RecordView):
    pass


class DecisionView(DecisionFields, RecordView):
    pass
