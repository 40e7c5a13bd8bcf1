"""Tasks, datasets, experiments and decisions in both dialects: one record, two spellings."""

import json
import os
from typing import Any

import boto3
import pytest

from tests.support.client import (
    A_MOMENT,
    A_UUID,
    AN_ID,
    RECORDS,
    Answer,
    World,
    flat_id,
    flat_path,
    in_camel_case,
    v1_id,
)

KINDS = sorted(RECORDS)
NOT_ALLOWED = "You may not change the records of this project."


# A text of each kind that every record of it has.
TEXT = {"tasks": "description", "datasets": "source", "experiments": "conclusion", "decisions": "justification"}


def next_page(answer: Answer) -> str:
    """The target of an answer's Link."""
    return answer.headers["link"].partition(">")[0].partition("api.test")[2]


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def stored(sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, as it is answered: moments in UTC."""
    return {name: f"{value}T00:00:00.000Z" if name.endswith("date") else value for name, value in sent.items()}


DEFAULTS: dict[str, dict[str, Any]] = {
    "tasks": {
        "status": "pending",
        "completed": False,
        "assigned_to": None,
        "estimated_hours": None,
        "priority": None,
        "deadline": None,
        "started_at": None,
        "finished_at": None,
        "completed_by": [],
    },
    "datasets": {"records": 0},
    "experiments": {},
    "decisions": {"alternatives": ""},
}


@pytest.mark.parametrize("kind", KINDS)
def test_v1_creates_reads_changes_lists_and_deletes(shared: World, kind: str) -> None:
    project = shared.new_project()
    made = shared("POST", f"{project}/{kind}", RECORDS[kind])
    whole = {
        "id": A_UUID,
        "tenant_id": shared.dev["tenants"]["acme"]["tenant_id"],
        "space_id": shared.dev["tenants"]["acme"]["spaces"]["default"],
        "project_id": id_of(project),
        "created_by": shared.uuid("owner"),
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
        **stored(RECORDS[kind]),
        **DEFAULTS[kind],
    }
    assert made.seen == (201, whole)
    assert made.headers["etag"] == '"v-1"'
    path = f"{project}/{kind}/{made.body['id']}"
    assert shared("GET", path).seen == (200, made.body)
    change = {"phase": "business", TEXT[kind]: "Other"}
    changed = shared("PATCH", path, change, headers={"If-Match": '"v-1"'})
    assert changed.seen == (
        200,
        made.body | change | {"updated_at": A_MOMENT},
    )
    assert changed.headers["etag"] == '"v-2"'
    assert shared("PATCH", path, {"phase": "modeling"}, headers={"If-Match": '"v-1"'}).status == 412
    page = shared("GET", f"{project}/{kind}")
    assert page.seen == (200, {"data": [changed.body], "meta": {"has_more": False, "next_cursor": None}})
    assert shared("DELETE", path).seen == (204, None)
    assert shared("GET", path).seen == (404, {"detail": f"{kind[:-1].title()} not found."})
    assert shared("DELETE", path).status == 404
    assert shared("GET", f"{project}/{kind}").body["data"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_flat_creates_lists_and_deletes(shared: World, kind: str) -> None:
    project = flat_path(shared.new_project())
    made = shared("POST", f"{project}/{kind}", in_camel_case(RECORDS[kind]))
    whole = {
        "_id": AN_ID,
        "project": id_of(project),
        "createdBy": shared.id("owner"),
        "createdAt": A_MOMENT,
        "updatedAt": A_MOMENT,
        **in_camel_case(stored(RECORDS[kind]) | DEFAULTS[kind]),
    }
    assert made.seen == (201, whole)
    assert shared("GET", f"{project}/{kind}").seen == (200, [made.body])
    path = f"{project}/{kind}/{made.body['_id']}"
    gone = {"message": f"{kind[:-1].title()} deleted successfully."}
    assert shared("DELETE", path).seen == (200, gone)
    assert shared("DELETE", path).seen == (404, {"error": f"{kind[:-1].title()} not found."})
    assert shared("GET", f"{project}/{kind}").seen == (200, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_made_through_one_dialect_is_the_same_in_the_other(shared: World, kind: str) -> None:
    project = shared.new_project()
    flat = shared("POST", f"{flat_path(project)}/{kind}", in_camel_case(RECORDS[kind])).body
    seen = shared("GET", f"{project}/{kind}/{v1_id(flat['_id'])}").body
    common = {"created_at", "updated_at", *RECORDS[kind], *DEFAULTS[kind]}
    assert in_camel_case({name: seen[name] for name in common}) == {
        name: value for name, value in flat.items() if name not in ("_id", "project", "createdBy")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_needed_is_asked_for(shared: World, kind: str) -> None:
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
def test_bad_values_are_refused_by_their_place(shared: World, kind: str, field: str) -> None:
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


def test_v1_refuses_unknown_fields_and_flat_ignores_them(shared: World) -> None:
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


def test_moments_are_kept_in_utc_and_numbers_as_they_were_written(shared: World) -> None:
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


# ---------------------------------------------------------------- tasks


def test_a_task_tells_when_it_was_started_and_finished_and_by_whom(shared: World) -> None:
    project = shared.new_project()
    task = flat_path(shared.new_record(project, "tasks"))

    def set_status(status: str, by: str = "owner") -> Any:
        answer = shared("POST", f"{task}/status", {"status": status}, by=by)
        assert answer.status == 200
        return answer.body

    started = set_status("inProgress", by="contributor")
    assert (started["startedAt"], started["finishedAt"]) == (A_MOMENT, None)
    assert started["completedBy"] == [{"user": shared.id("contributor"), "status": "inProgress", "at": A_MOMENT}]
    finished = set_status("completed")
    assert (finished["startedAt"], finished["finishedAt"]) == (started["startedAt"], A_MOMENT)
    assert set_status("completed") == finished | {"updatedAt": A_MOMENT}, "no change of the status"
    again = set_status("pending")
    assert (again["startedAt"], again["finishedAt"]) == (started["startedAt"], None)
    assert [entry["status"] for entry in again["completedBy"]] == ["inProgress", "completed", "pending"]
    assert shared("POST", f"{task}/status", {}).seen == (400, {"error": "status: Field required"})
    listed = shared("GET", flat_path(project)).body["tasks"]
    assert listed == [{"_id": id_of(task), "name": "Clean the data", "status": "pending"}]


def test_a_task_made_completed_is_started_and_finished(shared: World) -> None:
    project = shared.new_project()
    made = shared("POST", f"{project}/tasks", RECORDS["tasks"] | {"status": "completed", "completed": True}).body
    assert (made["started_at"], made["finished_at"], made["completed"]) == (A_MOMENT, A_MOMENT, True)
    assert made["completed_by"] == [{"principal_id": shared.uuid("owner"), "status": "completed", "at": A_MOMENT}]
    assert shared("PATCH", f"{project}/tasks/{made['id']}", {"status": "pending"}).body["finished_at"] is None


def test_a_task_shows_its_latest_hundred_changes_of_status(shared: World) -> None:
    task = shared.new_record(shared.new_project(), "tasks")
    for number in range(102):
        changed = shared("PATCH", task, {"status": ("inProgress", "onHold")[number % 2]})
    assert len(changed.body["completed_by"]) == 100


def test_the_checkbox_is_toggled_and_has_nothing_to_do_with_the_status(shared: World) -> None:
    task = flat_path(shared.new_record(shared.new_project(), "tasks"))
    for expected in (True, False, True):
        answer = shared("PATCH", f"{task}/completed")
        assert (answer.status, answer.body["completed"], answer.body["status"]) == (200, expected, "pending")
    first = shared("PATCH", f"{task}/completed", key="toggle-once")
    again = shared("PATCH", f"{task}/completed", key="toggle-once")
    assert (first.body["completed"], again.body["completed"], again.replayed) == (False, False, True)


def test_a_task_is_revised_and_what_is_left_out_stays(shared: World) -> None:
    project = shared.new_project()
    shared.new_member(project, "contributor", "contributor")
    fields = {"assigned_to": shared.uuid("contributor"), "estimated_hours": 3, "priority": "high"}
    task = flat_path(shared.new_record(project, "tasks", **fields, deadline="2026-12-24"))
    before = shared("GET", task).body
    revised = shared("PUT", task, {"name": "B", "description": "C", "phase": "ignored here"})
    notes = before.pop("notes")
    assert revised.seen == (200, before | {"name": "B", "description": "C", "updatedAt": A_MOMENT})
    assert shared("PUT", task, shared("GET", task).body).body == revised.body | {"updatedAt": A_MOMENT}
    for nobody in ("", None):
        assert shared("PUT", task, {**revised.body, "assignedTo": nobody}).body["assignedTo"] is None
    assert shared("PUT", task, {"name": "B"}).seen == (400, {"error": "description: Field required"})
    assert notes == []


def test_a_day_stays_a_day_when_flat_sends_back_what_it_was_shown(shared: World) -> None:
    project = shared.new_project()
    day, midnight = "2026-03-31", "2026-03-31T00:00:00.000Z"
    task = shared.new_record(project, "tasks", deadline=day)
    assert shared("GET", task).body["deadline"] == day
    shown = shared("GET", flat_path(task)).body
    assert shown["deadline"] == midnight
    assert shared("PUT", flat_path(task), shown).body["deadline"] == midnight
    assert shared("GET", task).body["deadline"] == day
    for sent, kept in (
        ("2026-04-01T00:00:00Z", "2026-04-01T00:00:00.000Z"),
        ("2026-04-02", "2026-04-02"),
        (None, None),
    ):
        assert shared("PUT", flat_path(task), {**shown, "deadline": sent}).status == 200
        assert shared("GET", task).body["deadline"] == kept
    made = shared("POST", f"{flat_path(project)}/tasks", in_camel_case(RECORDS["tasks"]) | {"deadline": day}).body
    assert made["deadline"] == midnight
    assert shared("GET", f"{project}/tasks/{v1_id(made['_id'])}").body["deadline"] == day
    # In v1 what is sent comes back, the midnight too.
    assert shared("PATCH", task, {"deadline": day}).body["deadline"] == day
    assert shared("PATCH", task, {"deadline": midnight}).body["deadline"] == midnight


def test_only_members_are_assigned(shared: World) -> None:
    project = shared.new_project()
    task = shared.new_record(project, "tasks")
    stranger = shared.uuid("viewer")
    found = {"loc": ["body", "assigned_to"], "msg": "Must be a member of the project", "type": "not_a_member"}
    assert shared("PATCH", task, {"assigned_to": stranger}).seen == (422, {"detail": [found]})
    body = RECORDS["tasks"] | {"assigned_to": stranger}
    assert shared("POST", f"{project}/tasks", body).seen == (422, {"detail": [found]})
    refused = (400, {"error": "assignedTo: Must be a member of the project"})
    assert shared("PATCH", f"{flat_path(task)}/reassign", {"assignedTo": flat_id(stranger)}).seen == refused
    member = shared.new_member(project, "viewer", "viewer")
    answer = shared("PATCH", f"{flat_path(task)}/reassign", {"assignedTo": flat_id(stranger)})
    assert (answer.status, answer.body["message"]) == (200, "Task reassigned successfully.")
    assert answer.body["task"]["assignedTo"] == flat_id(stranger)
    assert shared("GET", task).body["assigned_to"] == stranger
    # Who leaves the project stays the assignee of what it was on, and a client may send back what it got.
    assert shared("DELETE", member).status == 204
    kept = shared("GET", flat_path(task)).body
    assert shared("PUT", flat_path(task), kept).body["assignedTo"] == flat_id(stranger)
    assert shared("PATCH", f"{flat_path(task)}/reassign", {"assignedTo": ""}).body["task"]["assignedTo"] is None
    assert shared("PATCH", f"{flat_path(task)}/reassign", {}).seen == (400, {"error": "assignedTo: Field required"})
    assert shared("PUT", flat_path(task), kept).seen == refused


def test_notes_are_added_listed_and_deleted_by_their_author(shared: World) -> None:
    project = shared.new_project()
    task = flat_path(shared.new_record(project, "tasks"))
    made = [
        shared("POST", f"{task}/notes", {"content": f"Note {number}"}, by=by)
        for number, by in enumerate(("owner", "contributor", "owner"))
    ]
    assert [answer.status for answer in made] == [201] * 3
    whole = {
        "_id": AN_ID,
        "task": id_of(task),
        "content": "Note 1",
        "createdBy": shared.id("contributor"),
        "createdAt": A_MOMENT,
    }
    assert made[1].body == whole
    notes = [answer.body for answer in made]
    assert shared("GET", f"{task}/notes", by="viewer").seen == (200, notes)
    assert shared("GET", task).body["notes"] == notes
    page = shared("GET", f"{task}/notes?limit=2")
    assert page.body == notes[:2]
    assert shared("GET", next_page(page)).body == notes[2:]
    theirs = f"{task}/notes/{notes[1]['_id']}"
    assert shared("DELETE", theirs).seen == (403, {"error": "Only its author can delete a note."})
    assert shared("DELETE", theirs, by="contributor").seen == (200, {"message": "Note deleted successfully."})
    assert shared("DELETE", theirs, by="contributor").seen == (404, {"error": "Note not found."})
    for content in ("", " ", None, 1):
        assert shared("POST", f"{task}/notes", {"content": content}).status == 400
    assert shared("DELETE", task).status == 200
    assert shared("GET", f"{task}/notes").seen == (404, {"error": "Task not found."})
    assert shared("POST", f"{task}/notes", {"content": "x"}).seen == (404, {"error": "Task not found."})
    assert shared("DELETE", f"{task}/notes/{notes[0]['_id']}").seen == (404, {"error": "Task not found."})


# ---------------------------------------------------------------- reports


def test_a_report_brings_all_records_and_what_is_stalled(world: World) -> None:
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


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_paged_and_filtered_by_phase(shared: World, kind: str) -> None:
    project = shared.new_project()
    made = [id_of(shared.new_record(project, kind, phase=phase)) for phase in ("business", "modeling", "business") * 2]
    assert [item["id"] for item in shared("GET", f"{project}/{kind}").body["data"]] == made
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = shared("GET", f"{project}/{kind}?limit=4&phase=business{cursor and f'&cursor={cursor}'}").body
        assert page["meta"]["has_more"] == (page["meta"]["next_cursor"] is not None)
        seen += [item["id"] for item in page["data"]]
        cursor, pages = page["meta"]["next_cursor"], pages + 1
    assert (seen, pages) == ([made[0], made[2], made[3], made[5]], 2)
    flat = f"{flat_path(project)}/{kind}"
    assert [v1_id(item["_id"]) for item in shared("GET", flat).body] == made
    first = shared("GET", f"{flat}?limit=4")
    rest = shared("GET", next_page(first))
    assert [v1_id(item["_id"]) for item in first.body + rest.body] == made
    assert "link" not in rest.headers
    if kind != "tasks":
        assert [v1_id(item["_id"]) for item in shared("GET", f"{flat}?phase=modeling").body] == [made[1], made[4]]
        assert shared("GET", f"{flat}?phase=other").status == 400
    assert shared("GET", f"{project}/{kind}?phase=other").status == 422


# ---------------------------------------------------------------- archived and deleted projects


def test_an_archived_projects_records_are_read_and_not_written(shared: World) -> None:
    project = shared.new_project()
    records = {kind: shared.new_record(project, kind) for kind in KINDS}
    note = shared.new_note(records["tasks"])
    assert shared("PATCH", project, {"status": "archived"}).status == 200
    refused = "The project is archived. Set its status to active first."
    for kind, path in records.items():
        assert shared("GET", path).status == 200
        assert shared("POST", f"{project}/{kind}", RECORDS[kind]).seen == (409, {"detail": refused})
        assert shared("PATCH", path, {"phase": "business"}).seen == (409, {"detail": refused})
        assert shared("DELETE", path).seen == (409, {"detail": refused})
    flat = flat_path(records["tasks"])
    refused = "The project is archived: it can be read and deleted, but not changed."
    for method, path, body in (
        ("PUT", flat, {"name": "B", "description": "C"}),
        ("POST", f"{flat}/status", {"status": "completed"}),
        ("PATCH", f"{flat}/phase", {"phase": "business"}),
        ("PATCH", f"{flat}/completed", {}),
        ("PATCH", f"{flat}/reassign", {"assignedTo": shared.id("owner")}),
        ("POST", f"{flat}/notes", {"content": "x"}),
        ("DELETE", note, {}),
        ("POST", f"{flat_path(project)}/team", {"id": shared.id("viewer")}),
    ):
        assert shared(method, path, body).seen == (409, {"error": refused}), path


def test_a_deleted_projects_records_are_gone_at_once_in_both_dialects(shared: World) -> None:
    project = shared.new_project()
    records = {kind: shared.new_record(project, kind) for kind in KINDS}
    note = shared.new_note(records["tasks"])
    assert shared("DELETE", project).status == 204
    gone = "Project not found."
    for kind, path in records.items():
        assert shared("GET", path).seen == (404, {"detail": gone})
        assert shared("GET", f"{project}/{kind}").seen == (404, {"detail": gone})
        assert shared("POST", f"{project}/{kind}", RECORDS[kind]).seen == (404, {"detail": gone})
        assert shared("GET", f"{flat_path(project)}/{kind}").seen == (404, {"error": gone})
        assert shared("DELETE", flat_path(path)).seen == (404, {"error": gone})
    for path in (flat_path(records["tasks"]), note.rpartition("/")[0], f"{flat_path(project)}/report"):
        assert shared("GET", path).seen == (404, {"error": gone})
    assert shared("GET", f"{flat_path(project)}/team").seen == (404, {"error": gone})


def test_malformed_ids_of_records_are_refused_in_each_dialects_way(shared: World) -> None:
    project = shared.new_project()
    assert shared("GET", f"{project}/tasks/1").status == 422
    assert shared("GET", f"{flat_path(project)}/tasks/1").seen == (404, {"error": "Project not found."})


@pytest.mark.parametrize(
    ("written", "taken"), [("3.0", 3), ("1e3", 1000), ("-0", None), ("3.5", None), ("9007199254740992.0", None)]
)
def test_a_whole_number_is_one_however_it_is_written(world: World, written: str, taken: int | None) -> None:
    """As JSON Schema has it; some clients have no other numbers."""
    project = world.new_project()
    body = json.dumps(RECORDS["datasets"] | {"records": 0}).replace('"records": 0', f'"records": {written}')
    made = world("POST", f"{project}/datasets", content=body.encode(), headers={"Content-Type": "application/json"})
    assert (made.status, made.body.get("records")) == ((422, None) if taken is None else (201, taken))
