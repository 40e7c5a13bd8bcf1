"""The report of a project."""

import os
from typing import Any

import boto3

from tests.support.client import (
    World,
    flat_id,
    flat_path,
)
from tests.support.records import KINDS, id_of


def test_report_has_all_records_and_stalled_tasks(world: World) -> None:
    project = world.new_project()
    report = f"{flat_path(project)}/report"
    empty: dict[str, list[Any]] = {"tasks": [], "datasets": [], "experiments": [], "decisions": [], "stalledTasks": []}
    assert world("GET", report).seen == (200, empty)
    tasks = [
        world.new_record(project, "tasks", name=name, status=name)
        for name in ("pending", "onHold", "inProgress", "underReview", "completed")
    ]
    for kind in ("datasets", "experiments", "decisions"):
        world.new_record(project, kind)
    for task in tasks:
        untouched_since(world, task, "2026-01-01T00:00:00.000Z")
    fresh = world.new_record(project, "tasks", status="inProgress")
    answer = world("GET", report).body
    for kind in KINDS:
        assert answer[kind] == world("GET", f"{flat_path(project)}/{kind}").body
    assert [task["name"] for task in answer["stalledTasks"]] == ["onHold", "inProgress", "underReview"]
    assert flat_id(id_of(fresh)) in [task["_id"] for task in answer["tasks"]]


def untouched_since(world: World, record: str, moment: str) -> None:
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    project, kind, record_id = record.split("/")[-3:]
    boto3.client("dynamodb").update_item(
        TableName=os.environ["TABLE_NAME"],
        Key={
            "pk": {"S": f"T#{tenant}#P#{flat_id(project)}"},
            "sk": {"S": f"{kind[:-1].upper()}#{flat_id(record_id)}"},
        },
        UpdateExpression="SET updated_at = :moment",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":moment": {"S": moment}},
    )
