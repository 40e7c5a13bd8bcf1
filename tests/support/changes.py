"""The event that a change leaves on its project, and the published form of an event."""

import json
import os
from typing import Any

import boto3
import jsonschema

from atrium import documents
from atrium.store.outbox import event_in
from tests.support.client import A_MOMENT, World, flat_id
from tools.event_schemas import SCHEMAS

FORMATS = jsonschema.FormatChecker(["uuid"])


def event(world: World, project: str) -> dict[str, Any]:
    """The event of a v1 project's last change, as its META says it in the stream."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    key = {"pk": {"S": f"T#{tenant}#P#{flat_id(project.rpartition('/')[2])}"}, "sk": {"S": "META"}}
    item = boto3.client("dynamodb").get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True)["Item"]
    found: dict[str, Any] = json.loads(documents.render(event_in({"dynamodb": {"NewImage": item}})))
    return found


def require_published_form(found: dict[str, Any]) -> None:
    """An event is what its schema says, and nothing else."""
    schema = json.loads((SCHEMAS / f"{found['type']}.json").read_text())
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(found)
    assert set(found) == set(schema["properties"])
    assert found["time"] == A_MOMENT
    resource = schema["$defs"][schema["properties"]["resource"]["$ref"].rpartition("/")[2]]
    assert set(found["resource"]) == set(resource["properties"])
    assert "@" not in json.dumps(found), "an e-mail address"
    assert "atr_" not in json.dumps(found), "a secret"
