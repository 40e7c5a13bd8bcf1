"""A change to the values that are there changes nothing: no version, no event, no moment; in both dialects."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import RECORDS, Answer, World, flat_id, flat_path, in_camel_case, new_key, v1_id
from tests.support.direct import direct
from tests.support.requests import FLAT, Request, in_lab
from tests.support.trace import Trace
from tests.support.world import BeforeCommit


def of_record(kind: str) -> Callable[[World, str], Request]:
    return lambda w, p: ("PATCH", w.new_record(p, kind), RECORDS[kind])


def of_task(method: str, suffix: str, body: Any) -> Callable[[World, str], Request]:
    return lambda w, p: (method, flat_path(w.new_record(p, "tasks")) + suffix, body)


TASK = in_camel_case(RECORDS["tasks"])

# For each route that changes something the request that changes nothing, of a project `p` (v1 path) that is as FLAT
# says and has the viewer as a member. A toggle always changes something.
SAME: dict[str, Callable[[World, str], Request]] = {
    "UpdateProject": lambda w, p: ("PUT", flat_path(p), FLAT),
    "V1UpdateProject": lambda w, p: (
        "PATCH",
        p,
        {
            "name": f" {FLAT['projectName']} ",
            "description": {"summary": FLAT["description"]},
            "status": "active",
            "manager_id": w.uuid("owner"),
        },
    ),
    "V1UpdateMember": lambda w, p: ("PATCH", f"{p}/members/{w.uuid('viewer')}", {"role_id": w.role("viewer")}),
    "UpdateTask": of_task("PUT", "", {name: TASK[name] for name in ("name", "description")} | {"assignedTo": ""}),
    "SetTaskStatus": of_task("POST", "/status", {"status": "pending"}),
    "SetTaskPhase": of_task("PATCH", "/phase", {"phase": TASK["phase"]}),
    "ReassignTask": of_task("PATCH", "/reassign", {"assignedTo": None}),
    **{f"V1Update{kind.title()[:-1]}": of_record(kind) for kind in RECORDS},
    "V1UpdateTenant": lambda w, p: ("PATCH", "/v1/tenant", {"name": name_of(w, "/v1/tenant")}),
    "V1UpdateSpace": in_lab("PATCH", "", lambda w: {"name": f" {name_of(w, str(w.lab))} "}),
    "V1UpdateSpaceMember": in_lab("PATCH", "/members/{viewer}", lambda w: {"role_id": w.role("viewer")}),
}


def name_of(world: World, path: str) -> str:
    return str(world("GET", path).body["name"])


def a_project(world: World) -> str:
    made = world("POST", "/projects", FLAT)
    project = f"{world.projects()}/{v1_id(made.body['_id'])}"
    world.new_member(project, "viewer", "viewer")
    world.new_member(project, "outsider", "manager")
    return project


def rows(world: World, project: str) -> list[Any]:
    """All that stands in the table of a project, of the lab and of the tenant."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    place = {"P": flat_id(project.rpartition("/")[2]), "S": flat_id((world.lab or project).split("/")[3])}
    table = direct()
    found = [
        table.answer(
            "Query",
            TableName=table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )["Items"]
        for pk in (f"T#{tenant}#T", *(f"T#{tenant}#{kind}#{id}" for kind, id in place.items()))
    ]
    table.close()
    return found


def shown(answer: Answer) -> Any:
    """The part of an answer about the changed resource."""
    return answer.body.get("task", answer.body)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("route", SAME)
def test_the_same_values_change_nothing(shared: World, route: str, keyed: bool) -> None:
    project = a_project(shared)
    method, path, body = SAME[route](shared, project)
    before = rows(shared, project)
    answers = [shared(method, path, body, key=f"{route}-{turn}" if keyed else None) for turn in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].headers.get("etag") == answers[1].headers.get("etag")
    assert rows(shared, project) == before
    if "SetTask" not in route and route != "ReassignTask":
        now = shared("GET", path)
        assert {name: now.body[name] for name in shown(answers[0])} == shown(answers[0])
        assert now.headers["etag"] == answers[0].headers["etag"]


@pytest.mark.parametrize("route", SAME)
def test_if_match_is_checked_without_a_change(shared: World, route: str) -> None:
    method, path, body = SAME[route](shared, a_project(shared))
    assert shared(method, path, body, headers={"If-Match": '"v-99", "f-99"'}).status == 412
    assert shared(method, path, body, headers={"If-Match": "*"}).status == 200


@pytest.mark.parametrize("route", SAME)
def test_unchanged_values_without_permission_are_refused(shared: World, route: str) -> None:
    method, path, body = SAME[route](shared, a_project(shared))
    assert shared(method, path, body, by="viewer").status == 403


@pytest.mark.parametrize("route", SAME)
def test_unchanged_values_with_a_key_write_only_the_record(traced: tuple[World, Trace], route: str) -> None:
    world, trace = traced
    method, path, body = SAME[route](world, a_project(world))
    for key, trips in ((None, 1), (new_key(), 2)):
        trace.clear()
        assert world(method, path, body, key=key).status == 200
        assert trace.round_trips(route) == trips
        written = [call.operation for call in trace.of(route)].count("TransactWriteItems")
        assert written == trips - 1


@pytest.mark.parametrize("route", SAME)
def test_retry_does_not_undo_a_later_change(shared: World, route: str) -> None:
    project = a_project(shared)
    method, path, body = SAME[route](shared, project)
    first = shared(method, path, body, key=f"undo-{route}")
    record = path.removesuffix("/status").removesuffix("/phase").removesuffix("/reassign")
    if "Project" in route:
        assert shared("PATCH", project, {"name": "B", "description": "C"}).status == 200
    elif route in ("V1UpdateTenant", "V1UpdateSpace"):
        assert shared("PATCH", path, {"name": "B"}).status == 200
    elif "Member" in route:
        assert shared("PATCH", path, {"role_id": shared.role("contributor")}).status == 200
    elif route.startswith("V1"):
        assert shared("PATCH", path, {"phase": "business"}).status == 200
    else:
        v1 = f"{project}/tasks/{v1_id(record.rpartition('/')[2])}"
        change = {"name": "B", "status": "completed", "phase": "business", "assigned_to": shared.uuid("viewer")}
        assert shared("PATCH", v1, change).status == 200
    changed = rows(shared, project)
    again = shared(method, path, body, key=f"undo-{route}")
    assert (again.status, again.content, again.replayed) == (200, first.content, True)
    assert rows(shared, project) == changed


def test_archiving_an_archived_project_changes_nothing(shared: World) -> None:
    project = a_project(shared)
    task = shared.new_record(project, "tasks")
    member = f"{project}/members/{shared.uuid('viewer')}"
    archived = shared("PATCH", project, {"status": "archived"})
    before = rows(shared, project)
    again = shared("PATCH", project, {"status": "archived"})
    assert (again.seen, again.headers["etag"]) == (archived.seen, archived.headers["etag"])
    for method, path, same, different in (
        ("PATCH", project, {"name": "Apollo", "status": "archived"}, {"name": "B", "status": "archived"}),
        ("PUT", flat_path(project), FLAT, FLAT | {"clientName": "Globex"}),
        ("PATCH", member, {"role_id": shared.role("viewer")}, {"role_id": shared.role("contributor")}),
        ("PATCH", task, RECORDS["tasks"], {"name": "B"}),
    ):
        assert shared(method, path, same).status == 200
        assert shared(method, path, different).status == 409
    assert rows(shared, project) == before


def test_a_hand_over_to_the_present_manager_changes_nothing(shared: World) -> None:
    project = a_project(shared)
    before = rows(shared, project)
    assert shared("PATCH", project, {"manager_id": shared.uuid("owner")}).headers["etag"] == '"v-1"'
    assert rows(shared, project) == before


@pytest.mark.parametrize("route", ["V1UpdateProject", "UpdateProject"])
def test_concurrently_changed_value_is_set_to_the_sent_one(
    world: World, before_commit: BeforeCommit, route: str
) -> None:
    """With a key, the commit has the condition that the values are unchanged."""
    project = a_project(world)
    method, path, body = SAME[route](world, project)
    before_commit(lambda other: other("PATCH", project, {"name": "B"}))
    answer = world(method, path, body, key="k")
    assert answer.status == 200
    assert world("GET", project).body["name"] == "Apollo"
    assert world("GET", project).headers["etag"] == '"v-3"'


def test_unchanged_values_after_a_concurrent_loss_of_permission_are_refused(
    world: World, before_commit: BeforeCommit
) -> None:
    project = a_project(world)
    member = f"{project}/members/{world.uuid('outsider')}"
    before_commit(lambda other: other("PATCH", member, {"role_id": world.role("viewer")}))
    assert world("PATCH", project, {"name": "Apollo"}, by="outsider", key="k").status == 403
