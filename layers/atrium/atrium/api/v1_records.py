"""Records in the v1 dialect."""

from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import Strict, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from atrium import models
from atrium.api.records import (
    DatasetFields,
    Datasets,
    DecisionFields,
    Decisions,
    ExperimentFields,
    Experiments,
    NewTaskFields,
    Tasks,
    complete,
    given,
)
from atrium.api.resolver import lambda_handler
from atrium.api.v1 import Cursor, Id, Limit, Paged, PageMeta, Sent, v1_api
from atrium.api.views import Listing, Model, View
from atrium.models import Phase

__all__ = [
    "Cursor",
    "Datasets",
    "Decisions",
    "Experiments",
    "Id",
    "Limit",
    "Phase",
    "Tasks",
    "complete",
    "given",
    "lambda_handler",
    "v1_api",
]

ViewT = TypeVar("ViewT", bound="RecordView")

# ---------------------------------------------------------------- what may be sent


class NewTask(NewTaskFields, Sent):
    assigned_to: Id | None = None
    completed: Annotated[bool, Strict()] = False


class NewDataset(DatasetFields, Sent):
    pass


class NewExperiment(ExperimentFields, Sent):
    pass


class NewDecision(DecisionFields, Sent):
    pass


class _Change(Model):
    """The fields of a new record, of which each may be left out and one must be given."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for field in cls.model_fields.values():
            field.default = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("missing", "Give at least one field to change")
        return self


class TaskChange(NewTask, _Change):
    pass


class DatasetChange(NewDataset, _Change):
    pass


class ExperimentChange(NewExperiment, _Change):
    pass


class DecisionChange(NewDecision, _Change):
    pass


# ---------------------------------------------------------------- what is answered


class RecordView(View):
    id: str
    tenant_id: str
    space_id: str
    project_id: str
    created_by: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, record: models.Record) -> Self:
        return cls.model_construct(**record.resource()).at_version(record.version)


class StatusChange(TypedDict):
    principal_id: str
    status: models.TaskStatus
    at: str


class TaskView(RecordView):
    name: str
    description: str
    phase: Phase
    status: models.TaskStatus
    completed: bool
    assigned_to: str | None
    estimated_hours: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})]
    priority: models.Priority | None
    deadline: str | None
    started_at: str | None
    finished_at: str | None
    completed_by: list[StatusChange]


class DatasetView(DatasetFields, RecordView):
    pass


class ExperimentView(ExperimentFields, RecordView):
    pass


class DecisionView(DecisionFields, RecordView):
    pass


class Page(Paged, Generic[ViewT]):
    data: list[ViewT]
    meta: PageMeta


def page_of(view: type[ViewT], page: models.Page[Any]) -> Page[ViewT]:
    return Page[view].model_construct(data=Listing(view.of, [page]))  # type: ignore[valid-type]
