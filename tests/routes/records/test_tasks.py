"""Tasks: status, checkbox, update, deadline and assignment."""

from typing import Any

from tests.support.client import (
    A_MOMENT,
    RECORDS,
    World,
    flat_id,
    flat_path,
    in_camel_case,
    v1_id,
)
from tests.support.records import id_of


def test_status_changes_record_time_and_author(shared: World) -> None:
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


def test_task_created_as_completed_is_started_and_finished(shared: World) -> None:
    project = shared.new_project()
    made = shared("POST", f"{project}/tasks", RECORDS["tasks"] | {"status": "completed", "completed": True}).body
    assert (made["started_at"], made["finished_at"], made["completed"]) == (A_MOMENT, A_MOMENT, True)
    assert made["completed_by"] == [{"principal_id": shared.uuid("owner"), "status": "completed", "at": A_MOMENT}]
    assert shared("PATCH", f"{project}/tasks/{made['id']}", {"status": "pending"}).body["finished_at"] is None


def test_task_shows_its_latest_100_status_changes(shared: World) -> None:
    task = shared.new_record(shared.new_project(), "tasks")
    for number in range(102):
        changed = shared("PATCH", task, {"status": ("inProgress", "onHold")[number % 2]})
    assert len(changed.body["completed_by"]) == 100


def test_toggle_of_the_checkbox_leaves_the_status(shared: World) -> None:
    task = flat_path(shared.new_record(shared.new_project(), "tasks"))
    for expected in (True, False, True):
        answer = shared("PATCH", f"{task}/completed")
        assert (answer.status, answer.body["completed"], answer.body["status"]) == (200, expected, "pending")
    first = shared("PATCH", f"{task}/completed", key="toggle-once")
    again = shared("PATCH", f"{task}/completed", key="toggle-once")
    assert (first.body["completed"], again.body["completed"], again.replayed) == (False, False, True)


def test_flat_update_of_a_task_keeps_omitted_fields(shared: World) -> None:
    project = shared.new_project()
    shared.new_member(project, "contributor", "contributor")
    fields = {"assigned_to": shared.uuid("contributor"), "estimated_hours": 3, "priority": "high"}
    task = flat_path(shared.new_record(project, "tasks", **fields, deadline="2026-12-24"))
    before = shared("GET", task).body
    revised = shared("PUT", task, {"name": "B", "description": "C", "phase": "ignored here"})
    notes = before.pop("notes")
    assert revised.seen == (200, before | {"name": "B", "description": "C", "updatedAt": A_MOMENT})
    assert shared("PUT", task, shared("GET", task).body).body == revised.body | {"updatedAt": A_MOMENT}
    for empty in ("", None):
        assert shared("PUT", task, {**revised.body, "assignedTo": empty}).body["assignedTo"] is None
    assert shared("PUT", task, {"name": "B"}).seen == (400, {"error": "description: Field required"})
    assert notes == []


def test_flat_put_of_the_shown_deadline_keeps_a_day(shared: World) -> None:
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
    # v1 returns a deadline as sent, a midnight too.
    assert shared("PATCH", task, {"deadline": day}).body["deadline"] == day
    assert shared("PATCH", task, {"deadline": midnight}).body["deadline"] == midnight


def test_assignee_outside_the_project_is_refused(shared: World) -> None:
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
    # Tasks stay assigned to a removed member, and a client may send back the shown assignee.
    assert shared("DELETE", member).status == 204
    kept = shared("GET", flat_path(task)).body
    assert shared("PUT", flat_path(task), kept).body["assignedTo"] == flat_id(stranger)
    assert shared("PATCH", f"{flat_path(task)}/reassign", {"assignedTo": ""}).body["task"]["assignedTo"] is None
    assert shared("PATCH", f"{flat_path(task)}/reassign", {}).seen == (400, {"error": "assignedTo: Field required"})
    assert shared("PUT", flat_path(task), kept).seen == refused
