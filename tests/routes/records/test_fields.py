"""The fields of records: required, checked, known, and stored as they were sent."""

import json
from typing import Any

import pytest

from tests.support.client import (
    RECORDS,
    World,
    flat_path,
    in_camel_case,
)
from tests.support.records import KINDS, TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_missing_required_field_is_refused(shared: World, kind: str) -> None:
    project = shared.new_project()
    for field in RECORDS[kind]:
        body = {name: value for name, value in RECORDS[kind].items() if name != field}
        found = {"loc": ["body", field], "msg": "Field required", "type": "missing"}
        assert shared("POST", f"{project}/{kind}", body).seen == (422, {"detail": [found]})
        spelled = next(iter(in_camel_case({field: 0})))
        refused = shared("POST", f"{flat_path(project)}/{kind}", in_camel_case(body))
        assert refused.seen == (400, {"error": f"{spelled}: Field required"})
    assert shared("GET", f"{project}/{kind}").body["data"] == []


BAD_PHASES: list[Any] = ["Business", "", None, 1, []]
BAD_TEXTS: list[Any] = ["", "  ", None, 1, {}, "x" * 10_001]
BAD: dict[tuple[str, str], list[Any]] = {
    **{(kind, "phase"): BAD_PHASES for kind in KINDS},
    **{(kind, TEXT[kind]): BAD_TEXTS for kind in KINDS},
    ("tasks", "status"): ["done", "PENDING", None, True],
    ("tasks", "priority"): ["urgent", 1, ""],
    ("tasks", "estimated_hours"): [-1, "8", True, 1e7, []],
    ("tasks", "deadline"): ["soon", "2026-13-01", 1767225600, "0001-01-01T00:00:00+14:00", ""],
    ("tasks", "name"): ["", "\n", "x" * 201, 7],
    ("datasets", "records"): [-1, "5", 1.5, True, 2**53],
    ("datasets", "acquisition_date"): ["", "15/01/2026", None],
    ("decisions", "alternatives"): [None, 1, "x" * 10_001],
    ("experiments", "parameters"): [{}, "", None],
}


@pytest.mark.parametrize(("kind", "field"), BAD)
def test_bad_value_is_refused_with_its_field(shared: World, kind: str, field: str) -> None:
    project = shared.new_project()
    record = shared.new_record(project, kind)
    spelled = next(iter(in_camel_case({field: 0})))
    for value in BAD[kind, field]:
        body = RECORDS[kind] | {field: value}
        refused = shared("POST", f"{project}/{kind}", body)
        assert refused.status == 422, value
        assert {tuple(found["loc"]) for found in refused.body["detail"]} == {("body", field)}
        assert shared("PATCH", record, {field: value}).seen == refused.seen
        refused = shared("POST", f"{flat_path(project)}/{kind}", in_camel_case(body))
        assert refused.status == 400, value
        assert refused.body["error"].startswith(f"{spelled}: ")
    assert len(shared("GET", f"{project}/{kind}").body["data"]) == 1
    assert shared("GET", record).headers["etag"] == '"v-1"'


def test_unknown_field_is_refused_by_v1_and_ignored_by_flat(shared: World) -> None:
    project = shared.new_project()
    body = RECORDS["tasks"] | {"sequence": 7}
    known = "assigned_to, completed, deadline, description, estimated_hours, name, phase, priority, status"
    found = {"loc": ["body", "sequence"], "msg": f"Unknown field. Known: {known}", "type": "extra_forbidden"}
    assert shared("POST", f"{project}/tasks", body).seen == (422, {"detail": [found]})
    assert shared("POST", f"{flat_path(project)}/tasks", body).status == 201
    for completed in ("true", 1, None):
        assert shared("POST", f"{project}/tasks", RECORDS["tasks"] | {"completed": completed}).status == 422
    nothing = {"loc": ["body"], "msg": "Give at least one field to change", "type": "missing"}
    assert shared("PATCH", shared.new_record(project, "tasks"), {}).seen == (422, {"detail": [nothing]})


def test_times_are_stored_in_utc_and_numbers_as_written(shared: World) -> None:
    project = shared.new_project()
    task = shared.new_record(project, "tasks")
    for sent, kept in (
        ("2026-12-24", "2026-12-24"),
        ("20261224", "2026-12-24"),
        ("2026-12-24T00:00:00Z", "2026-12-24T00:00:00.000Z"),
        ("2026-12-24T18:30:00+02:00", "2026-12-24T16:30:00.000Z"),
        ("2026-12-24T18:30", "2026-12-24T18:30:00.000Z"),
        ("2026-12-24t18:30:00.5z", "2026-12-24T18:30:00.500Z"),
        ("2026-12-24T18:30:00.123456Z", "2026-12-24T18:30:00.123Z"),
    ):
        assert shared("PATCH", task, {"deadline": sent}).body["deadline"] == kept
        midnight = kept if "T" in kept else f"{kept}T00:00:00.000Z"
        assert shared("GET", flat_path(task)).body["deadline"] == midnight
    for number in ("0", "2.50", "1e2", "0.1"):
        answer = shared("PATCH", task, content=b'{"estimated_hours":%s}' % number.encode())
        assert b'"estimated_hours":%s,' % number.encode() in answer.content
        assert b'"estimatedHours":%s,' % number.encode() in shared("GET", flat_path(task)).content
    cleared = shared("PATCH", task, {"deadline": None, "estimated_hours": None, "priority": None})
    assert [cleared.body[name] for name in ("deadline", "estimated_hours", "priority")] == [None] * 3


@pytest.mark.parametrize(
    ("written", "taken"), [("3.0", 3), ("1e3", 1000), ("-0", None), ("3.5", None), ("9007199254740992.0", None)]
)
def test_whole_number_in_any_notation_is_accepted(world: World, written: str, taken: int | None) -> None:
    """JSON Schema defines whole numbers by value; some clients have only floats."""
    project = world.new_project()
    body = json.dumps(RECORDS["datasets"] | {"records": 0}).replace('"records": 0', f'"records": {written}')
    made = world("POST", f"{project}/datasets", content=body.encode(), headers={"Content-Type": "application/json"})
    assert (made.status, made.body.get("records")) == ((422, None) if taken is None else (201, taken))
