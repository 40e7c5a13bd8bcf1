"""Credentials in the v1 dialect."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

from aws_lambda_powertools.event_handler import Depends
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atrium.access_tokens import MAX_LENGTH, Identity, access_tokens
from atrium.api.records import Moment
from atrium.api.resolver import lambda_handler, request_work
from atrium.api.v1 import NOT_GIVEN, Change, Cursor, Id, Limit, Page, ResourceView, Sent, page_of, v1_api
from atrium.api.v1_issuers import IssuerView
from atrium.credentials import IDENTITY
from atrium.models import Held, Narrowing
from atrium.permissions import Permission
from atrium.store import delegation
from atrium.store.engine.work import Work
from atrium.text import Name

__all__ = [
    "CredentialChange",
    "CredentialView",
    "Credentials",
    "Cursor",
    "Id",
    "Limit",
    "NewCredential",
    "Page",
    "RotatedView",
    "Rotation",
    "SecretView",
    "lambda_handler",
    "page_of",
    "v1_api",
]


def _credentials(work: Annotated[Work, Depends(request_work)]) -> delegation.Delegation:
    return delegation.Delegation(work)


Credentials = Annotated[delegation.Delegation, Depends(_credentials)]

# ---------------------------------------------------------------- inputs

Kind = Literal["token", "api_key", "identity"]

MAX_NARROWED = 20
_DAY = 86_400

Permissions = Annotated[frozenset[Permission], Field(min_length=1, max_length=MAX_NARROWED)]
Ids = Annotated[frozenset[Id], Field(min_length=1, max_length=MAX_NARROWED)]


def _identity(token: str) -> Identity | None:
    tokens = access_tokens()
    return tokens.identity(token) if tokens else None


class NewCredential(Sent):
    """A credential to make. Without `permissions`, `space_ids` and `project_ids` it is good for all that its principal
    may; with them for that part alone, and with ids for nothing of the tenant as a whole."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "api_key",
                "name": "CI of the website",
                "permissions": ["project:read", "record:write"],
            }
        }
    )

    kind: Annotated[
        Kind,
        Field(description="A `token` or an `api_key`, whose secret is made here; or an `identity` of the issuer."),
    ]
    name: Annotated[Name, Field(description="A name by which it is told from others: 1 to 200 characters.")]
    expires_at: Annotated[
        Moment | None,
        Field(description="When it ends: a day or a time in ISO 8601, no later than the credential that you send."),
    ] = None
    permissions: Annotated[
        Permissions | None,
        Field(description="Good for these permissions alone, of those in `GET /v1/roles` and those of admins."),
    ] = None
    space_ids: Annotated[Ids | None, Field(description="Good in these spaces alone.")] = None
    project_ids: Annotated[Ids | None, Field(description="Good in these projects alone.")] = None
    enrol: Annotated[
        bool,
        Field(
            strict=True,
            description="Enrols a person: the credential ends after seven days at most, and is good for `GET /v1/me` "
            "and its own rotation alone, after which it is whole.",
        ),
    ] = False
    token: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_LENGTH,
            description="Of an `identity`: a valid access token of it, which shows whose it is. It is not kept.",
        ),
    ] = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if (self.kind == IDENTITY) != (self.token is not None):
            raise PydanticCustomError("access_token", "An identity needs a token, and no other kind takes one")
        if self.kind == IDENTITY and self.enrol:
            raise PydanticCustomError("enrolment", "An identity enrols no person: it has no secret to rotate")
        return self

    def wanted(self) -> delegation.NewCredential:
        return delegation.NewCredential(
            "key" if self.kind == "api_key" else self.kind,
            self.name,
            Narrowing(self.permissions, self.space_ids, self.project_ids),
            self.expires_at,
            self.enrol,
            partial(_identity, self.token or ""),
        )


class CredentialChange(Change):
    """A change of a credential."""

    name: Annotated[Name, Field(description="Another name.")] = NOT_GIVEN
    expires_at: Annotated[Moment, Field(description="An earlier end, to come.")] = NOT_GIVEN


class Rotation(Sent):
    """A rotation, which makes another secret."""

    model_config = ConfigDict(json_schema_extra={"example": {"overlap_seconds": 3_600}})

    overlap_seconds: Annotated[
        int, Field(strict=True, ge=0, le=30 * _DAY, description="For so many seconds the older secret is good, too.")
    ] = _DAY


# ---------------------------------------------------------------- views

_EXAMPLE: dict[str, Any] = {
    "id": "5a1f09d2-2c31-8000-8000-7be01c66a4d8",
    "kind": "api_key",
    "name": "CI of the website",
    "hint": "x7Qz",
    "permissions": ["project:read", "record:write"],
    "space_ids": None,
    "project_ids": None,
    "enrol": False,
    "issued_by": {
        "principal_id": "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d0",
        "credential_id": "5a1f09d2-2c31-8000-8000-7be01c66a4d9",
    },
    "created_at": "2025-04-05T10:00:00Z",
    "expires_at": None,
    "last_used_at": None,
    "status": "active",
}


class CredentialView(ResourceView):
    """A credential, without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: Annotated[str, Field(description="The credential's id, for its path.")]
    kind: Annotated[Kind, Field(description="Whether it is a `token` or an `api_key`, or an issuer's `identity`.")]
    name: Annotated[str | None, Field(description="Its name; null for one that an operator made.")]
    hint: Annotated[str | None, Field(description="The last characters of its newest secret, if they are known.")]
    permissions: Annotated[list[str] | None, Field(description="For which permissions alone it is good; null for all.")]
    space_ids: Annotated[list[str] | None, Field(description="In which spaces alone it is good; null for all.")]
    project_ids: Annotated[list[str] | None, Field(description="In which projects alone it is good; null for all.")]
    enrol: Annotated[bool, Field(description="Whether it still enrols a person, and is not whole yet.")]
    issued_by: Annotated[IssuerView | None, Field(description="What made it; null for an operator.")]
    created_at: str
    expires_at: Annotated[str | None, Field(description="When it ends; null for never.")]
    last_used_at: Annotated[
        str | None,
        Field(description="When it was last used, to the hour; null for never. No part of the `ETag`."),
    ]
    status: Annotated[Literal["active", "expired", "revoked"], Field(description="Whether it is good, or why not.")]

    @classmethod
    def of(cls, held: Held) -> Self:
        return cls.show(_fields(held), version=held.credential.version)


class SecretView(CredentialView):
    """A new credential, with its secret."""

    model_config = ConfigDict(json_schema_extra={"example": {**_EXAMPLE, "secret": "atr_key_…x7Qz"}})

    secret: Annotated[
        str | None,
        Field(description="In this answer alone: null in a replay, after which rotate it; and for an identity."),
    ]

    @classmethod
    def made(cls, held: Held, secrets: Mapping[str, str]) -> Self:
        shown = {**_fields(held), "secret": None}
        return cls.show(shown, version=held.credential.version, once=_once(held, secrets))


class RotatedView(SecretView):
    """A credential with another secret."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {**_EXAMPLE, "previous_expires_at": "2025-04-06T10:00:00.000Z", "secret": "atr_key_…x7Qz"}
        }
    )

    previous_expires_at: Annotated[str, Field(description="When the older secret ends.")]

    @classmethod
    def rotated(cls, held: Held, ends: str, secrets: Mapping[str, str]) -> Self:
        shown = {**_fields(held), "secret": None, "previous_expires_at": ends}
        return cls.show(shown, version=held.credential.version, once=_once(held, secrets))


def _fields(held: Held) -> dict[str, Any]:
    credential = held.credential
    issuer = credential.issued_by
    shown = credential.resource()
    del shown["tenant_id"], shown["principal_id"]
    return shown | {
        "name": credential.name,
        "hint": credential.hint,
        "issued_by": issuer and IssuerView.show(issuer.resource()),
        "last_used_at": held.last_used_at,
        "status": held.status,
    }


def _once(held: Held, secrets: Mapping[str, str]) -> dict[str, str]:
    return {"secret": secrets[held.id]} if held.id in secrets else {}
