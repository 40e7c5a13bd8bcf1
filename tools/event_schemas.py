"""A JSON Schema for each type of domain event, in docs/events/, from the views of the v1 dialect."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema

from atrium.api import v1, v1_records
from local.template import ROOT

SCHEMAS = ROOT / "docs" / "events"

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Actor(BaseModel):
    """Who did it."""

    principal_id: Uuid
    kind: Literal["user", "service"]


class Event(BaseModel):
    """What every event says. `sequence` counts the changes of the project and of all below it, without a gap."""

    id: Uuid
    type: str
    time: Moment
    tenant_id: Uuid
    space_id: Uuid
    project_id: Uuid
    sequence: Annotated[int, Field(ge=1)]
    actor: Actor


class Note(BaseModel):
    """A note on a task."""

    id: Uuid
    tenant_id: Uuid
    project_id: Uuid
    task_id: Uuid
    content: str
    created_by: Uuid
    created_at: Moment


_RECORDS: dict[str, type[BaseModel]] = {
    "task": v1_records.TaskView,
    "dataset": v1_records.DatasetView,
    "experiment": v1_records.ExperimentView,
    "decision": v1_records.DecisionView,
}

# The resource of each type: after the change, or as it was when it went.
TYPES: dict[str, type[BaseModel]] = {
    **{f"project.{verb}": v1.ProjectView for verb in ("created", "updated", "deleted")},
    **{f"member.{verb}": v1.MemberView for verb in ("added", "role_changed", "removed")},
    **{f"{kind}.{verb}": view for kind, view in _RECORDS.items() for verb in ("created", "updated", "deleted")},
    **{f"note.{verb}": Note for verb in ("created", "deleted")},
}


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, _: Any) -> bool:
        return False


def schema(type: str) -> dict[str, Any]:
    """The JSON Schema of an event of the type."""
    changed: dict[str, Any] = {"changed": (list[str], ...)} if type.endswith(("updated", "role_changed")) else {}
    model = create_model(type, __base__=Event, type=(Literal[type], ...), resource=(TYPES[type], ...), **changed)
    whole = model.model_json_schema(mode="serialization", schema_generator=_Untitled)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def texts() -> dict[Path, str]:
    """The file of each type of event."""
    return {SCHEMAS / f"{type}.json": json.dumps(schema(type), indent=2) + "\n" for type in TYPES}
