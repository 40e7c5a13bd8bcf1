"""Principals in the v1 dialect."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, ConfigDict, Field

from atrium import models
from atrium.api.paging import cursor_from
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import NOT_GIVEN, Change, Id, Limit, Page, ResourceView, Sent, page_of, v1_api
from atrium.permissions import tenant_role_named
from atrium.store import directory
from atrium.store.directory import PLACES, Sought
from atrium.store.engine.work import Work
from atrium.text import Beginning, Email, ExternalId, PersonName, address

__all__ = [
    "Directory",
    "ExternalIdQuery",
    "Id",
    "Kind",
    "Limit",
    "NewPrincipal",
    "Page",
    "Place",
    "PrincipalChange",
    "PrincipalProjectView",
    "PrincipalView",
    "SearchText",
    "Sought",
    "Status",
    "lambda_handler",
    "page_of",
    "v1_api",
]


def _directory(work: Annotated[Work, Depends(request_work)]) -> directory.Directory:
    return directory.Directory(work)


Directory = Annotated[directory.Directory, Depends(_directory)]

# ---------------------------------------------------------------- inputs

Kind = models.PrincipalKind
Status = models.PrincipalStatus
TenantRole = Literal["admin", "member"]
_Email = Annotated[Email, AfterValidator(address)]

Place = Annotated[str, cursor_from("next_cursor of a page", PLACES)]
ExternalIdQuery = Annotated[ExternalId, Query(alias="external_id")]
SearchText = Annotated[Beginning, Query(alias="q")]


class NewPrincipal(Sent):
    """A principal to be made."""

    # Generators of clients pass these words by, where a choice of two schemas would give them two types.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"kind": {"const": "service"}}, "required": ["kind"]},
            "then": {"properties": {"tenant_role": {"const": "member"}}},
            "else": {"properties": {"email": {"type": "string"}}, "required": ["email"]},
        }
    )

    name: Annotated[PersonName, Field(description="The name; at most 40 words.")]
    kind: Annotated[Kind, Field(description="Whether it is a person or a program.")] = "user"
    email: Annotated[
        _Email | None, Field(description="The e-mail address, which no other principal has. A user needs one.")
    ] = None
    external_id: Annotated[
        ExternalId | None, Field(description="The name that another system of yours has for it, and for no other.")
    ] = None
    tenant_role: Annotated[TenantRole, Field(description="`admin` for a user only.")] = "member"

    def with_defaults(self) -> dict[str, Any]:
        return super().with_defaults() | {"tenant_role": tenant_role_named(self.tenant_role)}


class PrincipalChange(Change):
    """At least one field of a principal."""

    name: Annotated[PersonName, Field(description="The name; at most 40 words.")] = NOT_GIVEN
    email: Annotated[
        _Email | None, Field(description="The e-mail address, which no other principal has; null only for a service.")
    ] = NOT_GIVEN
    external_id: Annotated[
        ExternalId | None, Field(description="The name that another system of yours has for it; null for none.")
    ] = NOT_GIVEN
    tenant_role: Annotated[TenantRole, Field(description="`admin` for a user only.")] = NOT_GIVEN
    status: Annotated[Status, Field(description="A suspended one is refused from its next request on.")] = NOT_GIVEN

    def given(self) -> dict[str, Any]:
        given = super().given()
        return given | {"tenant_role": tenant_role_named(self.tenant_role)} if "tenant_role" in given else given


# ---------------------------------------------------------------- views


class PrincipalView(ResourceView):
    """A principal: a person, or a program."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d0",
                "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
                "kind": "user",
                "name": "Ada Lovelace",
                "email": "ada@acme.example",
                "external_id": "00u1a2b3",
                "tenant_role": "member",
                "status": "active",
                "created_at": "2025-04-05T10:00:00.000Z",
                "updated_at": "2025-04-05T10:00:00.000Z",
            }
        }
    )

    id: Annotated[str, Field(description="The principal's id, for the paths below `/v1/principals`.")]
    tenant_id: str
    kind: Kind
    name: Annotated[str, Field(description="The principal's name.")]
    email: str | None
    external_id: Annotated[str | None, Field(description="The name that another system has for it; null for none.")]
    tenant_role: TenantRole
    status: Annotated[Status, Field(description="Whether its requests are answered: `suspended` if they are not.")]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, principal: models.Principal) -> "PrincipalView":
        own = {name: getattr(principal, name) for name in ("name", "email", "external_id")}
        return cls.show(principal.resource() | own, version=principal.version)


class PrincipalProjectView(ResourceView):
    """A project that a principal is a member of."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "project_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1",
                "space_id": "123e4567-e89b-12d3-a456-426614174000",
                "name": "Website Redesign Q3",
                "role_id": "00000000-0000-8000-8000-000000000003",
                "is_manager": True,
            }
        }
    )

    project_id: str
    space_id: str
    name: Annotated[str, Field(description="The project's name.")]
    role_id: str
    is_manager: Annotated[bool, Field(description="Whether it is the project's named manager.")]
