"""The form of each kind of row, for the check alone: code that writes a row knows its form."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from atrium.credentials import IDENTITY, KINDS
from atrium.ids import is_id
from atrium.models import (
    Circuit,
    Dataset,
    Decision,
    DeliveryStatus,
    Experiment,
    PrincipalKind,
    PrincipalStatus,
    Project,
    Record,
    RecoveryStatus,
    Task,
    WebhookStatus,
)
from atrium.permissions import PROJECT_ROLES, Permission, Role, TenantRole
from atrium.store.engine.table import Item


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError("not an id")
    return text


_Id = Annotated[str, AfterValidator(_id)]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
_SpaceRole = Annotated[str, Field(pattern=f"^({'|'.join(role.key for role in Role)})$")]
_TenantRole = Annotated[str, Field(pattern=f"^({'|'.join(role.key for role in TenantRole)})$")]
_ProjectRole = Annotated[str, Field(pattern=f"^({'|'.join(role.key for role in PROJECT_ROLES)})$")]
_CredentialKind = Annotated[str, Field(pattern=f"^({'|'.join((*KINDS, IDENTITY))})$")]


class _Row(BaseModel):
    """A row may have more attributes than its form: the key, and those of a later version of Atrium."""

    model_config = ConfigDict(strict=True)


class _Root(_Row):
    sequence: int
    last_events: Annotated[list[_Id], Field(min_length=1)]


class _Tenant(_Root):
    id: _Id
    name: str
    created_at: _Moment
    updated_at: _Moment
    version: int


class _Issuer(_Row):
    principal: _Id
    credential: _Id


class _By(_Row):
    principal: _Id
    kind: PrincipalKind
    credential: _Id | None = None
    issued_by: _Issuer | None = None
    request: str


class _Tombstone(_Row):
    """The attributes that a deleted space or principal has, besides its own attributes."""

    deleted_at: _Moment
    deleted_by: _By


class _Space(_Root):
    id: _Id
    name: str
    description: str
    created_at: _Moment
    updated_at: _Moment
    version: int


class _Membership(_Row):
    id: _Id
    principal: _Id
    created_at: _Moment
    updated_at: _Moment
    version: int


class _Member(_Membership):
    role: _ProjectRole


class _SpaceMember(_Membership):
    role: _SpaceRole


class _Note(_Row):
    id: _Id
    content: str
    created_by: _Id
    created_at: _Moment


class _Principal(_Root):
    id: _Id
    kind: PrincipalKind
    name: str
    email: str | None = None
    external_id: str | None = None
    tenant_role: _TenantRole
    status: PrincipalStatus | Literal["deleted"]
    spaces: dict[_Id, _SpaceRole]
    created_at: _Moment
    updated_at: _Moment
    version: int


class _Told(_Row):
    project: _Id
    sequence: int
    row: str
    at: _Moment | None = None


class _Replay(_Row):
    fingerprint: _Hash
    status: int
    body: str
    headers: dict[str, str]
    confirms: bool
    change: _Told | None = None
    ttl: int | None = None


class _Event(_Row):
    space: _Id | None = None
    project: _Id | None = None
    principal: _Id | None = None
    webhook: _Id | None = None
    type: str
    actor: _Id | None = None
    actor_kind: PrincipalKind | Literal["operator"]
    credential: _Id | None = None
    issued_by: _Issuer | None = None
    request: str | None = None
    resource: str
    changed: list[str] | None = None
    omitted: list[str] | None = None
    sequence: int | None = None
    unsent: bool | None = None
    event: _Id | None = None
    relisted: _Id | None = None
    erased_at: _Moment | None = None
    ttl: int | None = None


class _Credential(_Row):
    id: _Id
    tenant: _Id
    principal: _Id
    principal_kind: PrincipalKind
    kind: _CredentialKind
    created_at: _Moment
    expires_at: _Moment | None = None
    last_used: _Moment | None = None
    revoked_at: _Moment | None = None
    issued_by: _Issuer | None = None
    permissions: list[Permission] | None = None
    spaces: list[str] | None = None
    projects: list[str] | None = None


class _PrincipalCredential(_Row):
    id: _Id
    kind: _CredentialKind
    name: str | None = None
    hint: str | None = None
    sha256: _Hash
    previous: _Hash | None = None
    issuer: str | None = None
    subject: str | None = None
    permissions: list[Permission] | None = None
    spaces: list[str] | None = None
    projects: list[str] | None = None
    enrols: bool
    whole_until: _Moment | None = None
    issued_by: _Issuer | None = None
    issued: int
    created_at: _Moment
    expires_at: _Moment | None = None
    revoked_at: _Moment | None = None
    version: int


class _Endpoint(_Root):
    id: _Id
    url: str
    host: str
    events: Annotated[list[str], Field(min_length=1)]
    spaces: list[_Id] | None = None
    projects: list[_Id] | None = None
    description: str
    status: WebhookStatus
    circuit: Circuit
    proven: bool
    kms_key: str
    secret: int
    previous: int | None = None
    previous_kms_key: str | None = None
    previous_until: _Moment | None = None
    tested_at: _Moment | None = None
    created_at: _Moment
    updated_at: _Moment
    version: int


class _EndpointChanges(_Row):
    changes: int


class _EndpointState(_Row):
    failures: int | None = None
    timeouts: int | None = None
    failing_since: _Moment | None = None
    probes: int | None = None
    due_at: _Moment | None = None
    job: _Id | None = None


class _Delivery(_Row):
    type: str
    state: DeliveryStatus
    attempts: int
    created_at: _Moment
    until: _Moment
    next_attempt_at: _Moment | None = None
    last_status: int | None = None
    last_error: str | None = None
    ttl: int | None = None


class _Recovery(_Row):
    since: _Moment
    until: _Moment
    status: RecoveryStatus
    total: int | None = None
    done: int
    recovered: int
    created_at: _Moment
    finished_at: _Moment | None = None
    after: _Id | None = None
    counted: _Id | None = None
    ttl: int | None = None


class _Due(_Row):
    tenant: _Id
    attempt: int | None = None


class _Pulse(_Row):
    at: _Moment


# Types that are narrower than those of models.
_FIELDS = {
    **dict.fromkeys(("id", "tenant", "space", "manager", "created_by"), _Id),
    **dict.fromkeys(("created_at", "updated_at"), _Moment),
    "assigned_to": _Id | None,
    "last_events": Annotated[list[_Id], Field(min_length=1)],
}


def _of(value: type[Project] | type[Record], *without: str, **more: Any) -> type[_Row]:
    """The form of a row that stores a value of models, field by field."""
    hints = get_type_hints(value)
    own = {field.name: _FIELDS.get(field.name, hints[field.name]) for field in fields(value)}
    known: dict[str, Any] = {name: (hint, ...) for name, hint in own.items() if name not in without} | more
    return create_model(value.__name__, __base__=_Row, **known)


_FORMS: Mapping[str, type[_Row]] = {
    "tenant": _Tenant,
    "space": _Space,
    "space_member": _SpaceMember,
    "project": _of(Project, "is_childless", bare=(bool, False), deleted_at=(_Moment | None, None)),
    "member": _Member,
    **{kind.kind: _of(kind, "tenant", "space", "project") for kind in (Task, Dataset, Experiment, Decision)},
    "note": _Note,
    "principal": _Principal,
    "event": _Event,
    "principal_credential": _PrincipalCredential,
    "replay": _Replay,
    "credential": _Credential,
    "endpoint": _Endpoint,
    "endpoint_changes": _EndpointChanges,
    "endpoint_state": _EndpointState,
    "delivery": _Delivery,
    "recovery": _Recovery,
    "due": _Due,
    "pulse": _Pulse,
}


def is_formed(kind: str, row: Item) -> bool:
    """Whether a row has the form of its kind (a kind of atrium.keys)."""
    try:
        _FORMS[kind].model_validate(row)
        if kind in ("space", "principal") and "deleted_at" in row:
            _Tombstone.model_validate(row)
    except ValidationError:
        return False
    return True
