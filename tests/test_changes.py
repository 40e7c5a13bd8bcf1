"""Every change of a project, or below it, raises its sequence by one and leaves its event on META: the outbox."""

import json
import os
from typing import Any

import boto3
import pytest

from tests.client import A_MOMENT, AN_ID, World, flat_id, flat_path
from tests.test_round_trips import FLAT


def meta(world: World, project: str) -> dict[str, Any]:
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    key = {"pk": {"S": f"T#{tenant}#P#{flat_id(project.rpartition('/')[2])}"}, "sk": {"S": "META"}}
    found: dict[str, Any] = boto3.client("dynamodb").get_item(
        TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True
    )["Item"]
    return found


@pytest.mark.parametrize("key", [None, "k"])
def test_every_change_is_one_step_of_the_sequence_with_its_event(world: World, key: str | None) -> None:
    project = world.new_project(key=key)
    member = f"{project}/members/{world.uuid('viewer')}"
    steps: list[tuple[str, str, Any, str, list[str]]] = [
        ("PATCH", project, {"name": "B", "status": "active"}, "project.updated", ["name"]),
        ("PUT", flat_path(project), FLAT, "project.updated", ["client", "description", "name"]),
        (
            "POST",
            f"{project}/members",
            {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")},
            "member.added",
            [],
        ),
        ("PATCH", member, {"role_id": world.role("manager")}, "member.role_changed", ["role"]),
        ("PATCH", project, {"manager_id": world.uuid("viewer")}, "project.updated", ["manager"]),
        ("DELETE", f"{project}/members/{world.uuid('owner')}", None, "member.removed", []),
        ("DELETE", project, None, "project.deleted", []),
    ]
    ids = set()
    created = meta(world, project)
    assert (created["sequence"], created["last_event"]["M"]["type"]) == ({"N": "1"}, {"S": "project.created"})
    for sequence, (method, path, body, type, changed) in enumerate(steps, start=2):
        seen = world("GET", path).body if type == "member.removed" else None
        step = key and f"{key}-{sequence}"
        answer = world(method, path, body, key=step)
        assert answer.status < 300, answer
        if step:
            assert world(method, path, body, key=step).status == answer.status
        item = meta(world, project)
        event = item["last_event"]["M"]
        assert item["sequence"] == {"N": str(sequence)}, "a replay is no change"
        assert event["type"] == {"S": type}
        assert (event["id"]["S"], event["time"]["S"]) == (AN_ID, A_MOMENT)
        assert event["actor"] == {"M": {"principal_id": {"S": world.uuid("owner")}, "kind": {"S": "user"}}}
        assert [name["S"] for name in event["changed"]["L"]] == changed
        resource = json.loads(event["resource"]["S"])
        if type.startswith("member"):
            assert resource == (seen or answer.body)
        elif method == "PATCH":
            assert resource == answer.body
        else:
            assert resource["id"] == project.rpartition("/")[2]
        ids.add(event["id"]["S"])
    assert len(ids) == len(steps)
    assert "deleted_at" in meta(world, project)
