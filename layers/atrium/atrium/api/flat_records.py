"""Records, reports and teams in the flat dialect."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from atrium import models
from atrium.api.flat import MAX_PAGE, Cursor, Id, Limit, flat_api
from atrium.api.records import (
    DatasetFields,
    DecisionFields,
    ExperimentFields,
    NewTaskFields,
    TaskFields,
)
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.room import Room
from atrium.api.views import Confirmation, Input, Listing, View
from atrium.ids import SENT_ID
from atrium.models import Phase
from atrium.store import records, tasks, team
from atrium.store.change import ANYWHERE
from atrium.store.engine.work import Work
from atrium.text import Beginning, SoughtEmail, Text

__all__ = [
    "MAX_PAGE",
    "Confirmation",
    "Cursor",
    "Datasets",
    "Decisions",
    "Experiments",
    "Id",
    "Limit",
    "Phase",
    "Tasks",
    "flat_api",
    "lambda_handler",
]

# ---------------------------------------------------------------- the parts of the store that a route takes

_OurWork = Annotated[Work, Depends(request_work)]


def _team(work: _OurWork) -> team.Team:
    return team.Team(work)


def _tasks(work: _OurWork) -> tasks.Tasks:
    return tasks.Tasks(work, ANYWHERE)


def _datasets(work: _OurWork) -> records.Records[models.Dataset]:
    return records.Records(work, ANYWHERE, models.Dataset)


def _experiments(work: _OurWork) -> records.Records[models.Experiment]:
    return records.Records(work, ANYWHERE, models.Experiment)


def _decisions(work: _OurWork) -> records.Records[models.Decision]:
    return records.Records(work, ANYWHERE, models.Decision)


def _reports(work: _OurWork) -> records.Reports:
    return records.Reports(work)


Tasks = Annotated[tasks.Tasks, Depends(_tasks)]
Datasets = Annotated[records.Records[models.Dataset], Depends(_datasets)]
Experiments = Annotated[records.Records[models.Experiment], Depends(_experiments)]
Decisions = Annotated[records.Records[models.Decision], Depends(_decisions)]
Team = Annotated[team.Team, Depends(_team)]
Reports = Annotated[records.Reports, Depends(_reports)]

# ---------------------------------------------------------------- inputs


class _Sent(Input):
    """Fields in camelCase. Unknown ones are ignored, so that a client may send back what it got."""

    model_config = ConfigDict(alias_generator=to_camel)


# An id; null or an empty string for a task without an assignee.
Assignee = Annotated[
    Id | None,
    BeforeValidator(lambda value: None if value == "" else value),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({SENT_ID})?$"}, {"type": "null"}]}),
]


class NewTask(NewTaskFields, _Sent):
    assigned_to: Assignee = None


class TaskRevision(TaskFields, _Sent):
    """Optional fields that are left out stay as they are."""

    assigned_to: Assignee = None


class TaskStatusChange(_Sent):
    status: models.TaskStatus


class TaskPhaseChange(_Sent):
    phase: Phase


class TaskAssignment(_Sent):
    assigned_to: Assignee


class NewNote(_Sent):
    content: Text


class NewDataset(DatasetFields, _Sent):
    pass


class NewExperiment(ExperimentFields, _Sent):
    pass


class NewDecision(DecisionFields, _Sent):
    pass


class NewTeamMember(_Sent):
    id: Id


class EmailQuery(_Sent):
    email: SoughtEmail


SearchText = Annotated[Beginning, Query(alias="q")]

# ---------------------------------------------------------------- views


def _spelled(name: str) -> str:
    return "_id" if name == "id" else to_camel(name)


class _Answered(View):
    model_config = ConfigDict(alias_generator=_spelled, validate_by_name=True)


class RecordView(_Answered):
    id: str
    project: str
    created_by: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, record: models.Record) -> Self:
        return cls.show(cls.fields_of(record), version=record.whole_version)

    @classmethod
    def fields_of(cls, record: Any) -> dict[str, Any]:
        """The values of the view's fields."""
        own: dict[str, Any] = record.fields()
        return {name: getattr(record, name) for name in RecordView.model_fields} | own


class StatusChange(TypedDict):
    user: str
    status: models.TaskStatus
    at: str


class TaskView(RecordView):
    name: str
    description: str
    phase: Phase
    status: models.TaskStatus
    completed: bool
    assigned_to: str | None
    started_at: str | None
    finished_at: str | None
    completed_by: list[StatusChange]
    estimated_hours: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})]
    priority: models.Priority | None
    deadline: str | None

    @classmethod
    def fields_of(cls, record: Any) -> dict[str, Any]:
        shown = super().fields_of(record)
        changes = [
            {"user": entry["principal"], "status": entry["status"], "at": entry["at"]} for entry in record.completed_by
        ]
        return shown | {"estimated_hours": record.hours, "deadline": record.due, "completed_by": changes}


class NoteView(_Answered):
    id: str
    task: str
    content: str
    created_by: str
    created_at: str

    @classmethod
    def of(cls, note: models.Note) -> Self:
        return cls.show({name: getattr(note, name) for name in cls.model_fields}, version=note.version)


class TaskWithNotes(TaskView):
    notes: list[NoteView]

    @classmethod
    def of_both(cls, task: models.Task, notes: models.Page[models.Note]) -> Self:
        shown = cls.fields_of(task) | {"notes": list(map(NoteView.of, notes.items))}
        return cls.show(shown, version=task.whole_version, continued={"notes": notes.after} if notes.after else {})


class Reassignment(View):
    message: str
    task: TaskView

    @classmethod
    def of(cls, task: models.Task) -> Self:
        return cls.show({"message": "Task reassigned successfully.", "task": TaskView.of(task)})


class DatasetView(DatasetFields, RecordView):
    pass


class ExperimentView(ExperimentFields, RecordView):
    pass


class DecisionView(DecisionFields, RecordView):
    pass


class ReportView(_Answered):
    lists_beside = True

    tasks: list[TaskView]
    datasets: list[DatasetView]
    experiments: list[ExperimentView]
    decisions: list[DecisionView]
    stalled_tasks: list[TaskView]

    @classmethod
    def of(cls, report: models.Report) -> Self:
        """As many records of each kind as fit into an answer. A stalled task needs its room twice."""
        room = Room()
        stalled = {task.id for task in report.stalled}
        texts: dict[str, dict[str, str]] = {}
        after = dict(report.after)
        of_kind: dict[str, tuple[type[RecordView], Sequence[models.Record]]] = {
            "task": (TaskView, report.tasks),
            "dataset": (DatasetView, report.datasets),
            "decision": (DecisionView, report.decisions),
            "experiment": (ExperimentView, report.experiments),
        }
        for kind, (shown, found) in of_kind.items():
            fitting = texts[kind] = {}
            for record in found:
                text = shown.of(record).text()
                if not room.take(f"{text},{text}" if record.id in stalled else text):
                    after[kind] = next(reversed(fitting), None)
                    break
                fitting[record.id] = text
        fields = {f"{kind}s": list(fitting.values()) for kind, fitting in texts.items()}
        fields["stalled_tasks"] = [text for id, text in texts["task"].items() if id in stalled]
        return cls.show(fields, continued={f"{kind}s": after[kind] for kind in of_kind if kind in after})


class PersonView(_Answered):
    id: str
    name: str
    email: str | None

    @classmethod
    def of(cls, person: models.Person) -> Self:
        return cls.show(person._asdict())


def listing(view: Any, page: models.Page[Any]) -> Listing[Any]:
    """A page as a bare array of views."""
    return Listing(view.of, [page])


def people(found: Iterable[models.Person]) -> Listing[PersonView]:
    return Listing(PersonView.of, [models.Page(tuple(found), None)])
