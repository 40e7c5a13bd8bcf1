"""The tenant, its spaces and their members in the v1 dialect."""

from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler import Depends
from pydantic import ConfigDict, Field

from atrium import models, permissions
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import (
    NOT_GIVEN,
    Change,
    Cursor,
    Id,
    Limit,
    MemberChange,
    NewMember,
    Page,
    ResourceView,
    Sent,
    SpaceView,
    page_of,
    v1_api,
)
from atrium.store import spaces, tenancy
from atrium.store.engine.work import Work
from atrium.text import Name, OptionalText

__all__ = [
    "Cursor",
    "Id",
    "Limit",
    "MemberChange",
    "NewMember",
    "NewSpace",
    "Page",
    "SpaceChange",
    "SpaceMemberView",
    "SpaceMembers",
    "SpaceView",
    "Spaces",
    "Tenancy",
    "TenantChange",
    "TenantView",
    "lambda_handler",
    "page_of",
    "v1_api",
]

_OurWork = Annotated[Work, Depends(request_work)]


def _tenancy(work: _OurWork) -> tenancy.Tenancy:
    return tenancy.Tenancy(work)


def _spaces(work: _OurWork) -> spaces.Spaces:
    return spaces.Spaces(work)


def _members(work: _OurWork) -> spaces.SpaceMembers:
    return spaces.SpaceMembers(work)


Tenancy = Annotated[tenancy.Tenancy, Depends(_tenancy)]
Spaces = Annotated[spaces.Spaces, Depends(_spaces)]
SpaceMembers = Annotated[spaces.SpaceMembers, Depends(_members)]

# ---------------------------------------------------------------- inputs


class TenantChange(Change):
    """At least one field of the tenant."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Acme Corp"}})

    name: Name = NOT_GIVEN


class NewSpace(Sent):
    """A space to be made."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "Research", "description": "What may come of it in two years."}}
    )

    name: Name
    description: Annotated[OptionalText, Field(description="The text; it may be empty.")] = ""
    owner_id: Annotated[
        Id | None,
        Field(
            description="The id of the principal who is to own the space. Left out, you own it; with null it has no "
            "owner, and the tenant's admins look after it."
        ),
    ] = NOT_GIVEN

    def owner(self, caller: str) -> str | None:
        """The owner's id; the caller's where none is given."""
        return self.owner_id if "owner_id" in self.model_fields_set else caller


class SpaceChange(Change):
    """At least one field of a space."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "Research and development"}})

    name: Name = NOT_GIVEN
    description: Annotated[OptionalText, Field(description="The text; it may be empty.")] = NOT_GIVEN


# ---------------------------------------------------------------- views


class TenantView(ResourceView):
    """The tenant."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
                "name": "Acme",
                "created_at": "2025-04-05T10:00:00Z",
                "updated_at": "2025-04-05T10:00:00Z",
            }
        }
    )

    id: Annotated[str, Field(description="The tenant's id, which is that of its default space, too.")]
    name: Annotated[str, Field(description="The tenant's name.")]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, tenant: models.Tenant) -> Self:
        return cls.show(tenant.resource(), version=tenant.version)


_MEMBER: dict[str, Any] = {
    "tenant_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0a0",
    "space_id": "123e4567-e89b-12d3-a456-426614174000",
    "principal_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d2",
    "role_id": permissions.Role.CONTRIBUTOR.uuid,
    "created_at": "2025-04-05T10:05:00Z",
    "updated_at": "2025-04-05T10:05:00Z",
}


class SpaceMemberView(ResourceView):
    """A member of a space."""

    model_config = ConfigDict(json_schema_extra={"example": _MEMBER})

    addressed_by = "principal_id"

    tenant_id: str
    space_id: str
    principal_id: str
    role_id: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, member: models.SpaceMember) -> Self:
        return cls.show(member.resource(), version=member.tag)
