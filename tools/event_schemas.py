"""A JSON Schema for each type of domain event, in docs/events/, from the views of the v1 dialect."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema

from atrium.api import v1, v1_records, v1_spaces, v1_webhooks
from atrium.models import events
from atrium.text import MAX_TEXT
from local.template import ROOT

SCHEMAS = ROOT / "docs" / "events"

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Issuer(BaseModel):
    """The credential that made another one, and its principal."""

    principal_id: Uuid
    credential_id: Uuid


class Actor(BaseModel):
    """Who did it, and with which credential. The credential is null where a function acted for the principal; an
    operator, who invokes a function, is no principal. `issued_by` is what made the credential; null for an operator."""

    principal_id: Uuid | None
    kind: Literal["user", "service", "operator"]
    credential_id: Uuid | None
    issued_by: Issuer | None


class Event(BaseModel):
    """The fields of every event. `sequence` counts the changes of its root without a gap: of the project with all below
    it, or of the principal with its credentials, the space with its members, the tenant. `request_id` is the id of the
    request. `omitted` names fields that are too long for an event, and so are missing in `resource`; read them from the
    API. `resource` is null once an operator has erased it."""

    id: Uuid
    type: str
    time: Moment
    tenant_id: Uuid
    sequence: Annotated[int, Field(ge=1)]
    request_id: str
    actor: Actor
    omitted: Annotated[list[str], Field(default_factory=list)]


class Note(BaseModel):
    """A note on a task."""

    id: Uuid
    tenant_id: Uuid
    project_id: Uuid
    task_id: Uuid
    content: str
    created_by: Uuid
    created_at: Moment


class Principal(BaseModel):
    """A principal, without all by which a person is known."""

    id: Uuid
    tenant_id: Uuid
    kind: Literal["user", "service"]
    tenant_role: Literal["admin", "member"]
    status: Literal["active", "suspended"]
    created_at: Moment
    updated_at: Moment


class Credential(BaseModel):
    """A credential, without its names and its secret, and without the name that an issuer has for the principal.
    `permissions`, `space_ids` and `project_ids` say for what alone it is good, null for all; while it enrols a person
    it is good for nothing of that. `expires_at` is when it ends; null for never."""

    id: Uuid
    tenant_id: Uuid
    principal_id: Uuid
    kind: Literal["token", "api_key", "identity"]
    permissions: list[str] | None
    space_ids: list[Uuid] | None
    project_ids: list[Uuid] | None
    enrol: bool
    created_at: Moment
    expires_at: Moment | None


class RotatedCredential(Credential):
    """The same, and when the older secret ends."""

    previous_expires_at: Moment


class RevokedCredential(Credential):
    """The same, and when it ended."""

    revoked_at: Moment


_RECORDS: dict[str, type[BaseModel]] = {
    "task": v1_records.TaskView,
    "dataset": v1_records.DatasetView,
    "experiment": v1_records.ExperimentView,
    "decision": v1_records.DecisionView,
}


class Webhook(BaseModel):
    """A webhook. Of its URL, which may hold a token, the host alone."""

    id: Uuid
    tenant_id: Uuid
    host: str
    events: list[str]
    space_ids: list[Uuid] | None
    project_ids: list[Uuid] | None
    description: str
    status: Literal["active", "paused", "disabled"]
    created_at: Moment
    updated_at: Moment


class RotatedWebhook(Webhook):
    """The same, and when the older secret ends."""

    previous_expires_at: Moment


class RedeliveredWebhook(Webhook):
    """The same, and the event that is delivered once more."""

    event_id: Uuid


class RecoveredWebhook(Webhook):
    """The same, and the recovery with its span of time."""

    recovery_id: Uuid
    since: Moment
    until: Moment


class DisabledWebhook(Webhook):
    """The same, and why: it has failed for five days, or has answered that it is gone."""

    reason: Literal["failing", "gone"]


# The resource of each kind: after the change, or as it was when it went; and of the types that have another one.
_RESOURCES: dict[str, type[BaseModel]] = {
    "project": v1.ProjectView,
    "member": v1.MemberView,
    **_RECORDS,
    "note": Note,
    "tenant": v1_spaces.TenantView,
    "space": v1.SpaceView,
    "space_member": v1_spaces.SpaceMemberView,
    "principal": Principal,
    "credential": Credential,
    "credential.rotated": RotatedCredential,
    "credential.revoked": RevokedCredential,
    "webhook": Webhook,
    "webhook.rotated": RotatedWebhook,
    "webhook.redelivered": RedeliveredWebhook,
    "webhook.recovered": RecoveredWebhook,
    "webhook.disabled": DisabledWebhook,
}

TYPES: dict[str, type[BaseModel]] = {
    type: _RESOURCES.get(type) or _RESOURCES[type.partition(".")[0]] for type in events.TYPES
}

# The ids of the root, by the kind of what was changed; of a project for every other kind.
ROOTS: dict[str, tuple[str, ...]] = {
    "tenant": (),
    "space": ("space_id",),
    "space_member": ("space_id",),
    "principal": ("principal_id",),
    "credential": ("principal_id",),
    "webhook": ("webhook_id",),
}


# The body of a request that makes a resource says which of its fields are long.
_SENT: dict[str, type[BaseModel]] = {
    "task": v1_records.NewTask,
    "dataset": v1_records.NewDataset,
    "experiment": v1_records.NewExperiment,
    "decision": v1_records.NewDecision,
    "note": v1_records.NewNote,
    "space": v1_spaces.NewSpace,
    "webhook": v1_webhooks.NewWebhook,
}


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, _: Any) -> bool:
        return False


def _long_fields(kind: str) -> set[str]:
    """The fields of a resource that may be left out of its event: documents, and texts of the longest kind."""
    if kind not in _SENT:
        return {"description"} if kind == "project" else set()
    sent = _SENT[kind].model_json_schema()["properties"]
    return {name for name, field in sent.items() if field.get("maxLength") == MAX_TEXT}


def schema(type: str) -> dict[str, Any]:
    """The JSON Schema of an event of the type."""
    kind = type.partition(".")[0]
    own: dict[str, Any] = dict.fromkeys(ROOTS.get(kind, ("space_id", "project_id")), (Uuid, ...))
    if type.endswith(("updated", "role_changed", "rotated", "disabled")):
        own["changed"] = (list[str], ...)
    model = create_model(type, __base__=Event, type=(Literal[type], ...), resource=(TYPES[type] | None, ...), **own)
    whole = model.model_json_schema(mode="serialization", schema_generator=_Untitled)
    resource = whole["$defs"][TYPES[type].__name__]
    long = _long_fields(kind)
    resource["required"] = [name for name in resource["required"] if name not in long]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def texts() -> dict[Path, str]:
    """The file of each type of event."""
    return {SCHEMAS / f"{type}.json": json.dumps(schema(type), indent=2) + "\n" for type in TYPES}
