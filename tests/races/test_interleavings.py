"""A request commits between the read and the commit of another: each pair in its harmful order."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from atrium import keys
from atrium.keys import Key
from atrium.store import change, members
from atrium.store.engine.table import Item, Table, table
from atrium.store.fsck.check import Check
from tests.support.changes import event
from tests.support.client import RECORDS, Answer, World, flat_path, v1_id
from tests.support.requests import FLAT
from tests.support.world import BeforeCommit


def writes(world: World, project: str) -> dict[str, Callable[[], Answer]]:
    """Every write on a project with the viewer as a member, a task and a note on it."""
    member = f"{project}/members/{world.uuid('viewer')}"
    added = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    task = f"{project}/tasks/{first(world, f'{project}/tasks')}"
    notes = world("GET", f"{flat_path(task)}/notes")
    note = notes.body[0]["_id"] if notes.status == 200 else ""
    return {
        "update": lambda: world("PATCH", project, {"name": "B"}),
        "revise": lambda: world("PUT", flat_path(project), FLAT),
        "hand over": lambda: world("PATCH", project, {"manager_id": world.uuid("viewer")}),
        "add": lambda: world("POST", f"{project}/members", added),
        "demote": lambda: world("PATCH", member, {"role_id": world.role("viewer")}),
        "remove": lambda: world("DELETE", member),
        "delete": lambda: world("DELETE", project),
        "create a task": lambda: world("POST", f"{project}/tasks", RECORDS["tasks"]),
        "create a record": lambda: world("POST", f"{project}/datasets", RECORDS["datasets"]),
        "update a task": lambda: world("PATCH", task, {"name": "B"}),
        "assign a task": lambda: world("PATCH", task, {"assigned_to": world.uuid("viewer")}),
        "toggle a task": lambda: world("PATCH", f"{flat_path(task)}/completed"),
        "delete a task": lambda: world("DELETE", task),
        "add a note": lambda: world("POST", f"{flat_path(task)}/notes", {"content": "x"}),
        "delete a note": lambda: world("DELETE", f"{flat_path(task)}/notes/{note}"),
        "add to the team": lambda: world("POST", f"{flat_path(project)}/team", {"id": world.id("outsider")}),
    }


def first(world: World, records: str) -> str:
    return next((record["id"] for record in world("GET", records).body["data"]), v1_id("0" * 24))


WRITES = (
    "update",
    "revise",
    "hand over",
    "add",
    "demote",
    "remove",
    "delete",
    "create a record",
    "create a task",
    "update a task",
    "assign a task",
    "toggle a task",
    "delete a task",
    "add a note",
    "delete a note",
    "add to the team",
)


def a_project_with_a_note(world: World) -> str:
    project = world.new_project()
    world.new_member(project, "viewer", "contributor")
    world.new_note(world.new_record(project, "tasks"))
    return project


def test_concurrently_demoted_actor_is_refused(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    member = world.new_member(project, "outsider", "manager")
    before_commit(lambda other: other("PATCH", member, {"role_id": world.role("viewer")}))
    refused = world("PATCH", project, {"name": "Mine"}, by="outsider")
    assert refused.seen == (403, {"detail": "You may not change this project."})
    assert world("GET", project).body["name"] == "Apollo"


def test_concurrently_removed_actor_is_refused(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    member = world.new_member(project, "outsider", "manager")
    before_commit(lambda other: other("DELETE", member))
    assert world("DELETE", flat_path(project), by="outsider").status == 403
    assert world("GET", project).status == 200


@pytest.mark.parametrize("change", ["remove", "demote"])
def test_change_of_a_concurrently_appointed_manager_is_409(
    world: World, before_commit: BeforeCommit, change: str
) -> None:
    project = world.new_project()
    heir = world.new_member(project, "viewer", "manager")
    before_commit(lambda other: writes(other, project)["hand over"]())
    assert writes(world, project)[change]().status == 409
    assert world("GET", heir).body["role_id"] == world.role("manager")
    assert world("GET", project).body["manager_id"] == world.uuid("viewer")


@pytest.mark.parametrize(("change", "status", "manager"), [("remove", 422, "owner"), ("demote", 200, "viewer")])
def test_hand_over_after_concurrent_removal_or_demotion_keeps_one_manager(
    world: World, before_commit: BeforeCommit, change: str, status: int, manager: str
) -> None:
    project = world.new_project()
    world.new_member(project, "viewer", "manager")
    before_commit(lambda other: writes(other, project)[change]())
    assert writes(world, project)["hand over"]().status == status
    assert world("GET", project).body["manager_id"] == world.uuid(manager)
    row = world("GET", f"{project}/members/{world.uuid(manager)}")
    assert (row.status, row.body["role_id"]) == (200, world.role("manager"))


@pytest.mark.parametrize("write", WRITES)
def test_write_to_a_concurrently_deleted_project_is_refused(
    world: World, before_commit: BeforeCommit, write: str
) -> None:
    project = a_project_with_a_note(world)
    request = writes(world, project)[write]
    before_commit(lambda other: other("DELETE", flat_path(project)))
    refused = request()
    assert refused.status == 404
    assert set(refused.body.values()) == {"Project not found."}
    assert world("GET", "/projects", by="outsider").body == []
    assert world("GET", world.projects()).body["data"] == []


@pytest.mark.parametrize("write", [write for write in WRITES if write != "delete"])
def test_write_to_a_concurrently_archived_project_is_refused(
    world: World, before_commit: BeforeCommit, write: str
) -> None:
    project = a_project_with_a_note(world)
    request = writes(world, project)[write]
    before = world("GET", f"{flat_path(project)}/report").body
    before_commit(lambda other: other("PATCH", project, {"status": "archived"}))
    assert request().status == 409
    assert world("GET", project).body["status"] == "archived"
    assert len(world("GET", f"{project}/members").body["data"]) == 2
    assert world("GET", f"{flat_path(project)}/report").body == before


def test_concurrent_change_of_another_field_is_kept(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    before_commit(lambda other: other("PATCH", project, {"description": "kept"}))
    answer = world("PATCH", project, {"name": "B"})
    assert (answer.body["name"], answer.body["description"], answer.headers["etag"]) == ("B", "kept", '"v-3"')


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_if_match_holds_at_the_commit(world: World, before_commit: BeforeCommit, method: str) -> None:
    project = world.new_project()
    path, body = (flat_path(project), FLAT) if method == "PUT" else (project, {"name": "B"})
    tag = world("GET", path).headers["etag"]
    before_commit(lambda other: other("PATCH", project, {"name": "C"}))
    assert world(method, path, body, headers={"If-Match": tag}).status == 412
    assert world("GET", project).body["name"] == "C"


def test_if_match_of_a_flat_delete_holds_the_sequence_at_the_commit(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    before_commit(lambda other: writes(other, project)["add"]())
    assert world("DELETE", flat_path(project), headers={"If-Match": '"f-1"'}).status == 412
    assert world("GET", project).status == 200


@pytest.mark.parametrize("dialect", ["flat", "v1"])
def test_deletion_event_includes_a_concurrent_change(world: World, before_commit: BeforeCommit, dialect: str) -> None:
    project = world.new_project()
    before_commit(lambda other: other("PATCH", project, {"name": "B"}))
    assert world("DELETE", project if dialect == "v1" else flat_path(project)).status < 300
    assert event(world, project)["resource"]["name"] == "B"


def test_flat_answer_shows_a_concurrently_added_member(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    before_commit(lambda other: writes(other, project)["add"]())
    answer = world("PUT", flat_path(project), FLAT)
    assert (answer.body["team"], answer.headers["etag"]) == ([world.id("outsider")], '"f-3"')


@pytest.mark.parametrize("dialect", ["v1", "flat"])
def test_deletion_is_not_repeated_after_a_concurrent_addition(
    world: World, before_commit: BeforeCommit, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    project = world.new_project()
    commits = []
    commit = Table.transact

    def transact(table: Table, writes: Any, token: str) -> None:
        commits.append(token)
        commit(table, writes, token)

    monkeypatch.setattr(Table, "transact", transact)
    before_commit(lambda other: writes(other, project)["create a task"]())
    assert world("DELETE", project if dialect == "v1" else flat_path(project)).status < 300
    assert len(commits) == 1, "a change below decides nothing"


@pytest.mark.parametrize("change", ["add", "create a task"])
def test_rename_with_concurrent_additions_shows_the_whole_project(
    world: World, before_commit: BeforeCommit, change: str
) -> None:
    project = world.new_project()
    before_commit(lambda other: writes(other, project)[change]())
    assert world("PATCH", project, {"name": "B"}).status == 200
    (shown,) = world("GET", "/projects").body
    assert shown == world("GET", flat_path(project)).body
    assert (shown["projectName"], bool(shown["team"] or shown["tasks"])) == ("B", True)
    assert Check(table()).run()["clean"], "the list row says the same"


@pytest.mark.parametrize("change", ["add", "create a task", "delete"])
def test_list_with_concurrent_changes_shows_the_current_project(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    still, project = world.new_project("Gemini"), world.new_project()
    read = Table.get_all

    def get_all(table: Table, wanted: Sequence[Key]) -> dict[Key, Item]:
        if keys.META in {key.sk for key in wanted}:
            monkeypatch.setattr(Table, "get_all", read)
            assert writes(other, project)[change]().status < 300
        return read(table, wanted)

    monkeypatch.setattr(Table, "get_all", get_all)
    listed = world("GET", "/projects").body
    assert Table.get_all is read, "the batch of what is bare"
    now = [world("GET", flat_path(path)) for path in (still, project)]
    assert listed == [answer.body for answer in now if answer.status == 200]
    assert len(listed) == (1 if change == "delete" else 2)


@pytest.mark.parametrize("change", ["add", "create a task"])
def test_concurrently_renamed_project_is_listed_under_its_new_name(
    world: World, before_commit: BeforeCommit, change: str
) -> None:
    project = world.new_project()
    before_commit(lambda other: other("PATCH", project, {"name": "B"}))
    assert writes(world, project)[change]().status == 201
    assert [row["name"] for row in world("GET", world.projects()).body["data"]] == ["B"]
    assert Check(table()).run()["clean"]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_change_of_a_concurrently_replaced_membership_is_checked_again(
    world: World, before_commit: BeforeCommit, method: str, conditional: bool
) -> None:
    """The new membership has the same counter. A request without If-Match changes the current one."""
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    tag = world("GET", member).headers["etag"]

    def begin_again(other: World) -> Answer:
        assert other("DELETE", member).status == 204
        body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
        return other("POST", f"{project}/members", body)

    before_commit(begin_again)
    body = {"role_id": world.role("contributor")}
    answer = world(method, member, body, headers={"If-Match": tag} if conditional else {})
    now = world("GET", member)
    if conditional:
        assert answer.status == 412
        assert (now.body["role_id"], now.version) == (world.role("viewer"), 1)
        assert now.headers["etag"] != tag
    elif method == "DELETE":
        assert (answer.status, now.status) == (204, 404)
    else:
        assert answer.seen == (200, now.body)
        assert (answer.headers["etag"], now.version) == (now.headers["etag"], 2)
        assert now.body["created_at"] == answer.body["created_at"]


def test_two_additions_of_one_member_make_one(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    before_commit(lambda other: writes(other, project)["add"]())
    assert writes(world, project)["add"]().status == 409
    assert len(world("GET", f"{project}/members").body["data"]) == 2


def test_request_after_a_concurrent_one_with_the_same_key_is_replayed(
    world: World, before_commit: BeforeCommit
) -> None:
    before_commit(lambda other: other("POST", "/projects", FLAT, key="k"))
    answer = world("POST", "/projects", FLAT, key="k")
    assert (answer.status, answer.replayed) == (201, True)
    assert world("GET", "/projects").body == [answer.body]


# ---------------------------------------------------------------- records


def test_assignment_of_a_task_to_a_concurrently_removed_member_is_refused(
    world: World, before_commit: BeforeCommit
) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    task = world.new_record(project, "tasks")
    before_commit(lambda other: other("DELETE", member))
    assert world("PATCH", task, {"assigned_to": world.uuid("viewer")}).status == 422
    assert world("GET", task).body["assigned_to"] is None


def test_new_task_for_a_concurrently_removed_member_is_refused(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    before_commit(lambda other: other("DELETE", member))
    body = RECORDS["tasks"] | {"assigned_to": world.uuid("viewer")}
    assert world("POST", f"{project}/tasks", body).status == 422
    assert world("GET", f"{project}/tasks").body["data"] == []


@pytest.mark.parametrize("write", ["update a task", "assign a task", "toggle a task", "add a note", "delete a note"])
def test_write_to_a_concurrently_deleted_task_is_refused(world: World, before_commit: BeforeCommit, write: str) -> None:
    project = a_project_with_a_note(world)
    request = writes(world, project)[write]
    task = f"{project}/tasks/{first(world, f'{project}/tasks')}"
    before_commit(lambda other: other("DELETE", task))
    refused = request()
    assert refused.status == 404
    assert set(refused.body.values()) == {"Task not found."}
    assert world("GET", f"{project}/tasks").body["data"] == []


def test_two_changes_of_one_record_are_both_kept(world: World, before_commit: BeforeCommit) -> None:
    task = world.new_record(world.new_project(), "tasks")
    before_commit(lambda other: other("PATCH", task, {"priority": "high"}))
    answer = world("PATCH", task, {"name": "B"})
    assert (answer.body["name"], answer.body["priority"], answer.headers["etag"]) == ("B", "high", '"v-3"')


def test_two_toggles_are_two(world: World, before_commit: BeforeCommit) -> None:
    task = flat_path(world.new_record(world.new_project(), "tasks"))
    before_commit(lambda other: other("PATCH", f"{task}/completed"))
    assert world("PATCH", f"{task}/completed").body["completed"] is False


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_if_match_of_a_record_holds_at_the_commit(world: World, before_commit: BeforeCommit, method: str) -> None:
    record = world.new_record(world.new_project(), "decisions")
    before_commit(lambda other: other("PATCH", record, {"phase": "business"}))
    assert world(method, record, {"phase": "modeling"}, headers={"If-Match": '"v-1"'}).status == 412
    assert world("GET", record).body["phase"] == "business"


@pytest.mark.parametrize("change", ["add a note", "delete a note"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_if_match_of_a_flat_task_holds_its_notes_at_the_commit(
    world: World, before_commit: BeforeCommit, method: str, change: str
) -> None:
    project = a_project_with_a_note(world)
    task = f"{project}/tasks/{first(world, f'{project}/tasks')}"
    tag = world("GET", flat_path(task)).headers["etag"]
    before_commit(lambda other: writes(other, project)[change]())
    body = {"name": "B", "description": "C"}
    assert world(method, flat_path(task), body, headers={"If-Match": tag}).status == 412
    assert world("GET", task).body["name"] == RECORDS["tasks"]["name"]


def test_etag_of_a_flat_task_counts_a_change_and_a_concurrent_note(world: World, before_commit: BeforeCommit) -> None:
    """A change in v1, which does not show notes, is not affected."""
    project = a_project_with_a_note(world)
    task = f"{project}/tasks/{first(world, f'{project}/tasks')}"
    before_commit(lambda other: writes(other, project)["add a note"]())
    changed = world("PUT", flat_path(task), {"name": "B", "description": "C"})
    assert changed.headers["etag"] == world("GET", flat_path(task)).headers["etag"] == '"f-2-2"'
    before_commit(lambda other: writes(other, project)["add a note"]())
    assert world("PATCH", task, {"name": "C"}, headers={"If-Match": '"v-2"'}).headers["etag"] == '"v-3"'


def test_notes_read_with_a_task_are_never_older_than_its_etag(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a client could hold the current ETag without having seen the notes."""
    project = a_project_with_a_note(world)
    task = flat_path(f"{project}/tasks/{first(world, f'{project}/tasks')}")
    before = world("GET", task)
    query = Table.query

    def interrupted(table: Table, wanted: Any) -> Any:
        monkeypatch.setattr(Table, "query", query)
        assert other("POST", f"{task}/notes", {"content": "Meanwhile"}).status == 201
        return query(table, wanted)

    monkeypatch.setattr(Table, "query", interrupted)
    shown = world("GET", task)
    assert [note["content"] for note in shown.body["notes"]] == ["Remember", "Meanwhile"]
    assert shown.headers["etag"] == before.headers["etag"]
    assert world("GET", task, headers={"If-None-Match": shown.headers["etag"]}).status == 200


def test_record_of_a_concurrently_demoted_member_is_refused(world: World, before_commit: BeforeCommit) -> None:
    project = world.new_project()
    member = world.new_member(project, "outsider", "contributor")
    before_commit(lambda other: other("PATCH", member, {"role_id": world.role("viewer")}))
    assert world("POST", f"{project}/tasks", RECORDS["tasks"], by="outsider").status == 403
    assert world("GET", f"{project}/tasks").body["data"] == []


def test_the_last_place_in_a_project_is_taken_once(
    world: World, before_commit: BeforeCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (change, members):
        monkeypatch.setattr(module, "MAX_MEMBERS", 2)
    project = world.new_project()
    before_commit(lambda other: writes(other, project)["add"]())
    body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    assert world("POST", f"{project}/members", body).status == 409
    assert len(world("GET", f"{project}/members").body["data"]) == 2
