"""The event that a change leaves on its project, and the published form of an event."""

import json
from dataclasses import replace
from typing import Any

import jsonschema

from atrium import documents, keys
from atrium.store.rows import to_event
from tests.support.client import A_MOMENT, World, flat_id
from tests.support.rows import rows_here
from tools.event_schemas import SCHEMAS

FORMATS = jsonschema.FormatChecker(["uuid"])


def event(world: World, path: str) -> dict[str, Any]:
    """The event of the last change of the project, the space or the tenant that a v1 path leads into, as it is
    published."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    match path.split("/")[2:]:
        case ["webhooks", webhook, *_]:
            root = keys.endpoint(tenant, flat_id(webhook))
        case ["tenant"]:
            root = keys.tenant(tenant)
        case ["spaces", _, "projects", project, *_]:
            root = keys.project(tenant, flat_id(project))
        case ["spaces", space, *_]:
            root = keys.space(tenant, flat_id(space))
    return last_event(root)


def last_event(root: keys.Key) -> dict[str, Any]:
    """The last event of a project, a space or a tenant, of which this is META's key, as it is published."""
    rows, tenant = rows_here(), keys.tenant_of(root.pk)
    meta = rows.get(root)
    assert meta is not None
    row = rows.get(keys.event(tenant, meta["last_events"][-1]))
    assert row is not None
    numbered = replace(to_event(tenant, row), sequence=int(meta["sequence"]))
    found: dict[str, Any] = json.loads(documents.render(numbered.detail()))
    return found


def require_published_form(found: dict[str, Any]) -> None:
    """An event is what its schema says, and nothing else."""
    schema = json.loads((SCHEMAS / f"{found['type']}.json").read_text())
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(found)
    assert {*found, "omitted"} == set(schema["properties"])
    assert found["time"] == A_MOMENT
    resource = schema["$defs"][schema["properties"]["resource"]["anyOf"][0]["$ref"].rpartition("/")[2]]
    if found["resource"] is not None:
        assert {*found["resource"], *found.get("omitted", ())} == set(resource["properties"])
    assert "@" not in json.dumps(found), "an e-mail address"
    assert "atr_" not in json.dumps(found), "a secret"
