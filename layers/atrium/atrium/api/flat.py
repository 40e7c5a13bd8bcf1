"""The flat dialect: camelCase, 24-digit ids, bare answers, errors as `{"error": "message"}`."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Unpack

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from atrium import documents, models
from atrium.api.facts import Facts
from atrium.api.paging import cursor_from, limit_up_to
from atrium.api.resolver import Api, lambda_handler, request_work
from atrium.api.views import Confirmation, Input, Listing, View
from atrium.errors import Archived, Duplicate, Invalid, NamedManager, Refusal, project_not_found
from atrium.ids import SENT_ID, canonical, is_id
from atrium.store import whole
from atrium.store.engine.work import Work
from atrium.store.projects import MAX_DESCRIPTION_BYTES
from atrium.store.whole import summary
from atrium.text import MAX_NAME, Name, Text

__all__ = ["Confirmation", "flat_api", "lambda_handler"]


class _FlatApi(Api):
    tags = "f"
    words: ClassVar[Mapping[type[Refusal], str]] = {
        Archived: "The project is archived: it can be read and deleted, but not changed.",
        NamedManager: "This user is the project's manager, who cannot be removed.",
        Duplicate: "This user is a member of the project already.",
    }

    def judge(self, refusal: Refusal) -> Refusal:
        """A malformed id in the path is answered like an unknown one, with 404, as the dialect's document asks."""
        if isinstance(refusal, Invalid) and any(item.loc[0] == "path" for item in refusal.details):
            return project_not_found()
        return refusal

    def status(self, refusal: type[Refusal]) -> HTTPStatus:
        return HTTPStatus.BAD_REQUEST if issubclass(refusal, Invalid | Duplicate) else super().status(refusal)

    def error(self, refusal: Refusal) -> dict[str, Any]:
        if isinstance(refusal, Invalid):
            found = [(each.loc[-1], each.msg) for each in refusal.details]
            return {"error": "; ".join(f"{_SPELLED.get(field, field)}: {message}" for field, message in found)}
        return {"error": self.message(refusal)}


# The names of fields that differ from the domain's.
_SPELLED: dict[str | int, str] = {"client": "clientName", "principal": "id", "assigned_to": "assignedTo"}


def flat_api(**facts: Unpack[Facts]) -> Api:
    """A resolver for one route of the dialect, with the facts of that route."""
    return _FlatApi(**facts)


# ---------------------------------------------------------------- the parts of the store that a route takes


def _projects(work: Annotated[Work, Depends(request_work)]) -> whole.WholeProjects:
    return whole.WholeProjects(work)


Projects = Annotated[whole.WholeProjects, Depends(_projects)]


# ---------------------------------------------------------------- inputs

MAX_PAGE = 1_000


def _id(text: str) -> str:
    id = canonical(text)
    if not is_id(id):
        raise PydanticCustomError("id", "Must be an id of 24 hex digits, such as 64a1f2c3b4e5d6f7a8b9c0d1")
    return id


Id = Annotated[str, AfterValidator(_id), WithJsonSchema({"type": "string", "pattern": f"^{SENT_ID}$"})]
Limit = Annotated[int, limit_up_to(MAX_PAGE), Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str, cursor_from("cursor of a Link header")]


class NewProject(Input):
    projectName: Name
    clientName: Name
    description: Text

    def stored_description(self) -> str:
        return documents.render({"summary": self.description})


class ProjectRevision(Input):
    """All three fields. A value that equals the current one is accepted even where a new one would be refused, so a
    client may send back the body it got.
    """

    projectName: Name
    clientName: Annotated[
        str, Strict(), AfterValidator(str.strip), WithJsonSchema({"type": "string", "maxLength": MAX_NAME})
    ]
    description: Annotated[str, Strict(), WithJsonSchema({"type": "string", "maxLength": MAX_DESCRIPTION_BYTES})]


# ---------------------------------------------------------------- views


class TaskSummary(View):
    id: str = Field(alias="_id")
    name: str
    status: models.TaskStatus


class ProjectView(View):
    id: str = Field(alias="_id")
    projectName: str
    clientName: str
    description: str
    manager: str
    tasks: list[TaskSummary]
    team: list[str]

    @classmethod
    def of(cls, whole: models.WholeProject) -> "ProjectView":
        project = whole.project
        shown = {
            "_id": project.id,
            "projectName": project.name,
            "clientName": project.client,
            "description": summary(project.description),
            "manager": project.manager,
            "tasks": [
                TaskSummary.model_construct(_id=task.id, name=task.name, status=task.status) for task in whole.tasks
            ],
            "team": list(whole.team),
        }
        return cls.show(shown, version=project.sequence, continued={"tasks": whole.after} if whole.after else {})

    @classmethod
    def of_new(cls, project: models.Project) -> "ProjectView":
        return cls.of(models.WholeProject(project, team=(), tasks=()))


def listing(pages: Iterable[models.Page[models.WholeProject]]) -> Listing[ProjectView]:
    return Listing(ProjectView.of, pages)
