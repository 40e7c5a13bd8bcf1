"""The v1 dialect: snake_case, UUIDs, `data` and `meta`, errors as `detail`."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, Unpack

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from atrium import documents, models, permissions
from atrium.api.facts import Facts
from atrium.api.paging import cursor_from, limit_up_to
from atrium.api.resolver import Api, lambda_handler, request_work
from atrium.api.views import Input, Listing, PageView, View
from atrium.errors import Archived, Invalid, NamedManager, Refusal, Unfit
from atrium.ids import to_uuid
from atrium.store import members, principals, projects
from atrium.store.change import in_space
from atrium.store.engine.work import Work
from atrium.store.projects import MAX_DESCRIPTION_BYTES
from atrium.text import Document, Name, SoughtEmail, Uuid

__all__ = ["lambda_handler", "v1_api"]


class _V1Api(Api):
    tags = "v"
    refuses_unknown_parameters = True
    words: ClassVar[Mapping[type[Refusal], str]] = {
        Archived: "The project is archived. Set its status to active first.",
        NamedManager: "This member is the project's manager. Hand the project over first: PATCH its manager_id.",
    }

    def error(self, refusal: Refusal) -> dict[str, Any]:
        if isinstance(refusal, Unfit):
            loc = ["body", _SPELLED.get(refusal.field, refusal.field)]
            message = refusal.message + _ADDED.get(refusal.reason, "")
            return {"detail": [{"loc": loc, "msg": message, "type": refusal.reason}]}
        if isinstance(refusal, Invalid):
            return {"detail": [{"loc": list(item.loc), "msg": item.msg, "type": item.type} for item in refusal.details]}
        return {"detail": self.message(refusal)}


# The names of fields that differ from the domain's, and what a message says besides.
_SPELLED = {
    "manager": "manager_id",
    "owner": "owner_id",
    "principal": "principal_id",
    "projects": "project_ids",
    "role": "role_id",
    "spaces": "space_ids",
}
_ADDED = {"unknown_role": ". See GET /v1/roles"}


def v1_api(**facts: Unpack[Facts]) -> Api:
    """A resolver for one route of the dialect, with the facts of that route."""
    return _V1Api(**facts)


# ---------------------------------------------------------------- the parts of the store that a route takes

_OurWork = Annotated[Work, Depends(request_work)]

T = TypeVar("T")
ViewT = TypeVar("ViewT", bound="ResourceView")


class InSpace(Generic[T]):
    """The projects or members or records of the space that a route names."""

    def __init__(self, of: Callable[[str], T]) -> None:
        self.in_space = of


def _projects(work: _OurWork) -> InSpace[projects.Projects]:
    return InSpace(lambda space: projects.Projects(work, space))


def _members(work: _OurWork) -> InSpace[members.Members]:
    return InSpace(lambda space: members.Members(work, in_space(space)))


def _principals(work: _OurWork) -> principals.Principals:
    return principals.Principals(work)


Projects = Annotated[InSpace[projects.Projects], Depends(_projects)]
Members = Annotated[InSpace[members.Members], Depends(_members)]
Principals = Annotated[principals.Principals, Depends(_principals)]


# ---------------------------------------------------------------- inputs


Id = Uuid
Limit = Annotated[int, limit_up_to(100), Query(ge=1, le=100)]
Cursor = Annotated[str, cursor_from("next_cursor of a page")]
Status = models.Status
RoleKey = Annotated[str, WithJsonSchema({"type": "string", "enum": [role.key for role in permissions.Role]})]
TenantRoleKey = Annotated[
    str, WithJsonSchema({"type": "string", "enum": [role.key for role in permissions.TenantRole]})
]

Description = Annotated[
    Document,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": True},
                {"type": "string", "maxLength": MAX_DESCRIPTION_BYTES - len('""')},
                {"type": "null"},
            ]
        }
    ),
]


class Sent(Input):
    """The body of a request, without unknown fields."""

    model_config = ConfigDict(extra="forbid")


# The default of a field that a change may leave out. `Change.given` never shows it.
NOT_GIVEN: Any = Field(default_factory=lambda: None)


class Change(Sent):
    """The body of a PATCH: each field may be left out (its default is NOT_GIVEN), but at least one must be given."""

    @model_validator(mode="after")
    def _require_a_field(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("missing", "Give at least one field to change")
        return self


class NewProject(Sent):
    name: Name
    description: Description = documents.Raw("null")


class ProjectChange(Change):
    """A change of a project. `manager_id` hands the project over to another member."""

    name: Name = NOT_GIVEN
    description: Description = NOT_GIVEN
    status: Status = NOT_GIVEN
    manager_id: Id = NOT_GIVEN

    def given(self) -> dict[str, Any]:
        names = {"manager_id": "manager"}
        return {names.get(name, name): value for name, value in super().given().items()}


class NewMember(Sent):
    """The principal is named by its id, or else by its e-mail address."""

    # The role and one more: generators of clients know no `oneOf` of required fields.
    model_config = ConfigDict(json_schema_extra={"minProperties": 2, "maxProperties": 2})

    principal_id: Id = NOT_GIVEN
    email: SoughtEmail = NOT_GIVEN
    role_id: Id

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if len(self.model_fields_set & {"principal_id", "email"}) != 1:
            raise PydanticCustomError("one_of", "Give either principal_id or email")
        return self

    def who(self) -> models.Who:
        return models.Who(self.principal_id, self.email)

    def role(self) -> permissions.Role | None:
        return permissions.role_with_id(self.role_id)


class MemberChange(Sent):
    role_id: Id

    def role(self) -> permissions.Role | None:
        return permissions.role_with_id(self.role_id)


# ---------------------------------------------------------------- views


class ResourceView(View):
    """The view of a value of models, without a version."""

    @classmethod
    def of(cls, value: Any) -> Self:
        return cls.show(value.resource())


def _hash_of(view: View) -> str:
    """The version of a view whose resource has no counter of versions."""
    return sha256(view.model_dump_json().encode()).hexdigest()[:32]


class SpaceView(ResourceView):
    """A space."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "123e4567-e89b-12d3-a456-426614174000",
                "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
                "name": "Acme",
                "description": "",
                "created_at": "2025-04-05T10:00:00Z",
                "updated_at": "2025-04-05T10:00:00Z",
            }
        }
    )

    id: Annotated[str, Field(description="The space's id, for the paths below `/v1/spaces`.")]
    tenant_id: str
    name: Annotated[str, Field(description="The space's name.")]
    description: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, space: models.Space) -> "SpaceView":
        return cls.show(space.resource(), version=space.version)


class ProjectSummary(View):
    """A project in a list: all but its description."""

    id: str
    tenant_id: str
    space_id: str
    name: str
    manager_id: str
    created_by: str
    status: Status
    created_at: str
    updated_at: str

    @classmethod
    def of_row(cls, row: models.ProjectRow) -> "ProjectSummary":
        return cls.show(row.resource())


class ProjectView(ProjectSummary):
    description: Description

    @classmethod
    def of(cls, project: models.Project) -> "ProjectView":
        return cls.show(project.resource(), version=project.version)


class MemberView(ResourceView):
    addressed_by = "principal_id"

    tenant_id: str
    project_id: str
    principal_id: str
    role_id: str
    status: Literal["active"]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, member: models.Member) -> "MemberView":
        return cls.show(member.resource(), version=member.tag)


class PageMeta(View):
    has_more: bool
    next_cursor: str | None


class Paged(PageView):
    """A page of this dialect: `data`, then `meta` with the cursor."""

    def show_cursor(self, cursor: str | None) -> None:
        vars(self)["meta"] = PageMeta(has_more=cursor is not None, next_cursor=cursor)


class Page(Paged, Generic[ViewT]):
    data: list[ViewT]
    meta: PageMeta


def page_of(view: type[ViewT], page: models.Page[Any]) -> Page[ViewT]:
    return Page[view].model_construct(data=Listing(view.of, [page]))  # type: ignore[valid-type]


class ProjectPage(Paged):
    data: list[ProjectSummary]
    meta: PageMeta

    @classmethod
    def of(cls, page: models.Page[models.ProjectRow]) -> "ProjectPage":
        return cls.model_construct(data=Listing(ProjectSummary.of_row, [page]))


class RoleView(View):
    id: str
    key: RoleKey
    permissions: list[str]


class RolePage(View):
    data: list[RoleView]
    meta: PageMeta

    @classmethod
    def catalogue(cls) -> "RolePage":
        data = [RoleView(id=role.uuid, key=role.key, permissions=role.permissions) for role in permissions.Role]
        return cls(data=data, meta=PageMeta(has_more=False, next_cursor=None))


class SpaceRole(View):
    space_id: str
    name: str
    is_default: bool
    role_id: str
    role: RoleKey


class MyCredential(View):
    """The credential that was sent, and what it is narrowed to: null for no narrowing."""

    id: Annotated[str, Field(description="The credential's id, for its path below this principal's credentials.")]
    kind: Annotated[Literal["token", "api_key", "identity"], Field(description="What it is.")]
    name: Annotated[str | None, Field(description="Its name; null for one that an operator made.")]
    permissions: Annotated[list[str] | None, Field(description="For which permissions alone it is good; null for all.")]
    space_ids: Annotated[list[str] | None, Field(description="In which spaces alone it is good; null for all.")]
    project_ids: Annotated[list[str] | None, Field(description="In which projects alone it is good; null for all.")]
    expires_at: Annotated[str | None, Field(description="When it ends; null for never.")]

    @classmethod
    def of(cls, me: models.Me) -> "MyCredential | None":
        if me.credential is None:
            return None
        shown = me.credential.resource() | (me.narrowed or models.Narrowing()).resource()
        return cls(**{name: shown[name] for name in cls.model_fields if name in shown}, name=me.credential.name)


class Me(View):
    """The caller: `id` is the flat spelling of `principal_id`."""

    principal_id: str
    id: str
    tenant_id: str
    kind: models.PrincipalKind
    name: str
    email: str | None
    tenant_role: TenantRoleKey
    spaces: list[SpaceRole]
    credential: Annotated[
        MyCredential | None, Field(description="The credential that was sent; null for one that is gone since.")
    ]

    @classmethod
    def of(cls, me: models.Me) -> "Me":
        principal = me.principal
        spaces = [
            SpaceRole(
                space_id=to_uuid(each.space.id),
                name=each.space.name,
                is_default=each.space.is_default,
                role_id=each.role.uuid,
                role=each.role.key,
            )
            for each in me.spaces
        ]
        view = cls(
            principal_id=to_uuid(principal.id),
            id=principal.id,
            tenant_id=to_uuid(principal.tenant),
            kind=principal.kind,
            name=principal.name,
            email=principal.email,
            tenant_role=principal.tenant_role.key,
            spaces=spaces,
            credential=MyCredential.of(me),
        )
        return cls.show(vars(view), version=_hash_of(view))
