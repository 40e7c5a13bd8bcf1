"""Who may do what: every route by every kind of caller."""

from typing import Any

import pytest

from tests.client import HEX24, UUID, Answer, World, flat_id, flat_path, v1_id
from tests.test_round_trips import EVERY_ROUTE, a_project

CALLERS = (
    "none",
    "bad token",
    "both headers",
    "other tenant",
    "outsider",
    "viewer",
    "contributor",
    "manager",
    "owner",
)

Statuses = tuple[int, ...]

# Statuses by caller, in the order of CALLERS, on a project of the owner's in a space where viewer, contributor and
# owner have those roles, and where the outsider of the column `manager` is a member with the role manager (and no
# role in the space).
ANYONE: Statuses = (401, 401, 401, 200, 200, 200, 200, 200, 200)
READ: Statuses = (401, 401, 401, 404, 403, 200, 200, 200, 200)
MANAGE: Statuses = (401, 401, 401, 404, 403, 403, 403, 200, 200)


def made(by: Statuses) -> Statuses:
    return tuple(201 if status == 200 else status for status in by)


def gone(by: Statuses) -> Statuses:
    return tuple(204 if status == 200 else status for status in by)


WRITE: Statuses = (401, 401, 401, 404, 403, 403, 200, 200, 200)

MATRIX = {
    "ListProjects": ANYONE,
    "CreateProject": (401, 401, 401, 201, 403, 403, 201, 403, 201),
    "GetProject": READ,
    "UpdateProject": MANAGE,
    "DeleteProject": MANAGE,
    "ListTasks": READ,
    "CreateTask": made(WRITE),
    "GetTask": READ,
    "UpdateTask": WRITE,
    "DeleteTask": WRITE,
    "SetTaskStatus": WRITE,
    "SetTaskPhase": WRITE,
    "ToggleTaskCompleted": WRITE,
    "ReassignTask": WRITE,
    "ListTaskNotes": READ,
    "AddTaskNote": made(WRITE),
    # The owner wrote it.
    "DeleteTaskNote": (401, 401, 401, 404, 403, 403, 403, 403, 200),
    "ListDatasets": READ,
    "CreateDataset": made(WRITE),
    "DeleteDataset": WRITE,
    "ListExperiments": READ,
    "CreateExperiment": made(WRITE),
    "DeleteExperiment": WRITE,
    "ListDecisions": READ,
    "CreateDecision": made(WRITE),
    "DeleteDecision": WRITE,
    "GetReport": READ,
    "ListTeam": READ,
    "AddTeamMember": made(MANAGE),
    "RemoveTeamMember": MANAGE,
    "FindTeamMember": MANAGE,
    "SearchTeam": MANAGE,
    "V1GetMe": ANYONE,
    "V1ListRoles": ANYONE,
    "V1ListProjects": READ,
    "V1CreateProject": (401, 401, 401, 404, 403, 403, 201, 403, 201),
    "V1GetProject": READ,
    "V1UpdateProject": (401, 401, 401, 404, 403, 403, 403, 200, 200),
    "V1DeleteProject": gone(MANAGE),
    "V1ListMembers": READ,
    "V1AddMember": made(MANAGE),
    "V1GetMember": READ,
    "V1UpdateMember": MANAGE,
    "V1RemoveMember": gone(MANAGE),
    "V1ListTasks": READ,
    "V1CreateTask": made(WRITE),
    "V1GetTask": READ,
    "V1UpdateTask": WRITE,
    "V1DeleteTask": gone(WRITE),
    "V1ListDatasets": READ,
    "V1CreateDataset": made(WRITE),
    "V1GetDataset": READ,
    "V1UpdateDataset": WRITE,
    "V1DeleteDataset": gone(WRITE),
    "V1ListExperiments": READ,
    "V1CreateExperiment": made(WRITE),
    "V1GetExperiment": READ,
    "V1UpdateExperiment": WRITE,
    "V1DeleteExperiment": gone(WRITE),
    "V1ListDecisions": READ,
    "V1CreateDecision": made(WRITE),
    "V1GetDecision": READ,
    "V1UpdateDecision": WRITE,
    "V1DeleteDecision": gone(WRITE),
}


def request_as(world: World, caller: str, method: str, path: str, body: Any) -> Answer:
    headers = {"X-API-Key": world.principal("owner")["api_key"]} if caller == "both headers" else {}
    match caller:
        case "none":
            return world(method, path, body, by=None)
        case "bad token":
            token = world.principal("owner")["token"]
            return world(method, path, body, by=None, headers={"Authorization": f"Bearer {token[:-1]}-"})
        case "other tenant":
            return world(method, path, body, by="owner", tenant="globex")
        case "manager":
            return world(method, path, body, by="outsider")
        case "both headers":
            return world(method, path, body, headers=headers)
        case _:
            return world(method, path, body, by=caller)


def test_every_route_has_a_row() -> None:
    assert set(MATRIX) == set(EVERY_ROUTE)


Requests = dict[str, tuple[str, str, Any]]


@pytest.fixture(scope="module")
def requests(shared: World) -> Requests:
    """A request to each route, all on one project: for callers whose request changes nothing."""
    project = a_project(shared)
    return {route: request(shared, project) for route, request in EVERY_ROUTE.items()}


@pytest.mark.parametrize("caller", CALLERS)
def test_statuses_by_caller(shared: World, requests: Requests, caller: str) -> None:
    wrong = {}
    project = requests["V1GetProject"][1]
    member = shared.new_member(project, "outsider", "manager") if caller == "manager" else None
    for route, statuses in MATRIX.items():
        expected = statuses[CALLERS.index(caller)]
        method, path, body = requests[route]
        if method != "GET" and expected < 300:
            method, path, body = fresh_request(shared, route, caller)
        got = request_as(shared, caller, method, path, body).status
        if got != expected:
            wrong[route] = (expected, got)
    if member:
        assert shared("DELETE", member).status == 204
    assert wrong == {}


def fresh_request(world: World, route: str, caller: str) -> tuple[str, str, Any]:
    """A request that will succeed, on a project of its own."""
    project = a_project(world)
    if caller == "manager":
        world.new_member(project, "outsider", "manager")
    method, path, body = EVERY_ROUTE[route](world, project)
    if caller == "manager" and route in ("V1AddMember", "AddTeamMember"):
        # The outsider is a member already; the viewer becomes one anew.
        assert world("DELETE", f"{project}/members/{world.uuid('viewer')}").status == 204
        new = {"principal_id": world.uuid("viewer")} if route == "V1AddMember" else {"id": world.id("viewer")}
        body = {**body, **new}
    return method, path, body


def test_a_member_without_a_space_role_sees_its_projects_and_no_others(world: World) -> None:
    refused = world("GET", world.projects(), by="outsider")
    assert refused.seen == (403, {"detail": "You do not have access to this space."})
    assert world("GET", "/projects", by="outsider").seen == (200, [])
    hidden, elsewhere = world.new_project("Hidden"), world.new_project("Elsewhere", space="research")
    shown = [world.new_project(f"Shown {number}") for number in range(3)]
    for project in (elsewhere, *shown):
        world.new_member(project, "outsider", "viewer")
    page = world("GET", world.projects(), by="outsider")
    assert [f"{world.projects()}/{item['id']}" for item in page.body["data"]] == shown
    assert page.body["meta"] == {"has_more": False, "next_cursor": None}
    listed = world("GET", "/projects", by="outsider").body
    assert [item["_id"] for item in listed] == sorted(flat_path(path)[10:] for path in (elsewhere, *shown))
    assert world("GET", hidden, by="outsider").status == 403
    assert world("DELETE", shown[0]).status == 204
    assert len(world("GET", world.projects(), by="outsider").body["data"]) == 2
    for project in shown[1:]:
        assert world("DELETE", f"{project}/members/{world.uuid('outsider')}").status == 204
    assert world("GET", world.projects(), by="outsider").status == 403


def test_another_tenants_id_answers_like_no_id(world: World) -> None:
    """Byte for byte, but for the request id: over every route that takes an id, in every place."""
    foreign = world.new_project("Secret")
    world.new_member(foreign, "viewer", "viewer")
    nobody = v1_id("64a1f2c3b4e5d6f7a8b9c0d1")
    own = world.new_project("Own", tenant="globex")
    options: Any = {"by": "owner", "tenant": "globex"}
    member = world.uuid("viewer")
    checked = 0
    for route, request in EVERY_ROUTE.items():
        method, path, body = request(world, foreign)
        for found in [*UUID.findall(path), *HEX24.findall(UUID.sub("", path))]:
            theirs = world(method, path, body, **options)
            none = world(method, path.replace(found, nobody if "-" in found else flat_id(nobody)), body, **options)
            assert (theirs.status, theirs.content) == (none.status, none.content), (route, found)
            assert theirs.status == 404
            checked += 1
    assert checked > 100
    for field in ("principal_id", "manager_id"):
        method, path = ("POST", f"{own}/members") if field == "principal_id" else ("PATCH", own)
        body = {"role_id": world.role("viewer")} if field == "principal_id" else {}
        theirs = world(method, path, {**body, field: member}, **options)
        none = world(method, path, {**body, field: nobody}, **options)
        assert (theirs.status, theirs.content) == (none.status, none.content)
        assert theirs.status == 422


def test_a_uuid_that_is_not_of_our_form_is_not_found(world: World) -> None:
    path = f"{world.projects()}/123e4567-e89b-12d3-a456-426614174000"
    assert world("GET", path).seen == (404, {"detail": "Project not found."})
    listed = world("GET", "/v1/spaces/123e4567-e89b-12d3-a456-426614174000/projects")
    assert listed.seen == (404, {"detail": "Space not found."})


def test_a_project_is_found_in_its_own_space_only(world: World) -> None:
    project = world.new_project()
    moved = project.replace(world.projects(), world.projects("research"))
    for method, body in (("GET", None), ("PATCH", {"name": "B"}), ("DELETE", None)):
        assert world(method, moved, body).seen == (404, {"detail": "Project not found."})
    assert world("GET", project).status == 200


def test_the_stronger_of_space_and_project_role_counts(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "contributor", "viewer")
    assert world("PATCH", project, {"name": "B"}, by="contributor").status == 200, "by the space role"
    assert world("PATCH", member, {"role_id": world.role("manager")}).status == 200
    assert world("DELETE", flat_path(project), by="contributor").status == 200, "by the project role"


def test_owner_is_no_role_of_projects(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    detail = {
        "loc": ["body", "role_id"],
        "msg": "No such role of projects. See GET /v1/roles",
        "type": "unknown_role",
    }
    for role in (world.role("owner"), v1_id("64a1f2c3b4e5d6f7a8b9c0d1")):
        body = {"principal_id": world.uuid("outsider"), "role_id": role}
        assert world("POST", f"{project}/members", body).seen == (422, {"detail": [detail]})
        assert world("PATCH", member, {"role_id": role}).seen == (422, {"detail": [detail]})


# ---------------------------------------------------------------- the named manager


def test_the_named_manager_stays_until_the_project_is_handed_over(world: World) -> None:
    project = world.new_project()
    manager = f"{project}/members/{world.uuid('owner')}"
    refused = (
        409,
        {"detail": "This member is the project's manager. Hand the project over first: PATCH its manager_id."},
    )
    assert world("DELETE", manager).seen == refused
    assert world("PATCH", manager, {"role_id": world.role("viewer")}).seen == refused
    stranger = {"loc": ["body", "manager_id"], "msg": "Must be a member of the project", "type": "not_a_member"}
    handed = world("PATCH", project, {"manager_id": world.uuid("viewer")})
    assert handed.seen == (422, {"detail": [stranger]})
    world.new_member(project, "viewer", "viewer")
    handed = world("PATCH", project, {"manager_id": world.uuid("viewer")})
    assert (handed.status, handed.body["manager_id"]) == (200, world.uuid("viewer"))
    heir = world("GET", f"{project}/members/{world.uuid('viewer')}").body
    assert heir["role_id"] == world.role("manager")
    assert world("GET", flat_path(project)).body["team"] == [world.id("owner")]
    assert world("DELETE", f"{project}/members/{world.uuid('viewer')}").seen == refused
    assert world("DELETE", manager, by="viewer").status == 204
    assert world("GET", "/projects", by="viewer").body[0]["manager"] == world.id("viewer")


def test_a_duplicate_member_and_an_unknown_principal_are_refused(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    again = world("POST", f"{project}/members", body)
    assert again.seen == (409, {"detail": "The principal is a member of the project already."})
    detail = {"loc": ["body", "principal_id"], "msg": "No such principal", "type": "unknown_principal"}
    unknown = {**body, "principal_id": v1_id("64a1f2c3b4e5d6f7a8b9c0d1")}
    assert world("POST", f"{project}/members", unknown).seen == (422, {"detail": [detail]})


# ---------------------------------------------------------------- archived projects


def test_an_archived_project_takes_only_reactivation_and_deletion(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    archived = world("PATCH", project, {"status": "archived"})
    assert (archived.status, archived.body["status"]) == (200, "archived")
    refused = (409, {"detail": "The project is archived. Set its status to active first."})
    new_member = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    assert world("PATCH", project, {"name": "B"}).seen == refused
    assert world("PATCH", project, {"manager_id": world.uuid("viewer")}).seen == refused
    assert world("PATCH", project, {"status": "archived"}).seen == refused
    assert world("POST", f"{project}/members", new_member).seen == refused
    assert world("PATCH", member, {"role_id": world.role("manager")}).seen == refused
    assert world("DELETE", member).seen == refused
    flat = {"projectName": "B", "clientName": "C", "description": "D"}
    assert world("PUT", flat_path(project), {**flat, "clientName": "C"}).seen == (409, {"error": refused[1]["detail"]})
    assert world("GET", project).body == archived.body
    active = world("PATCH", project, {"status": "active", "name": "B"})
    assert (active.body["status"], active.body["name"]) == ("active", "B")
    assert world("PATCH", project, {"status": "archived"}).status == 200
    assert world("DELETE", project).status == 204


def test_the_status_filter_lists_what_it_says(world: World) -> None:
    active, archived = world.new_project("A"), world.new_project("B")
    world("PATCH", archived, {"status": "archived"})
    for status, path in (("active", active), ("archived", archived)):
        page = world("GET", f"{world.projects()}?status={status}").body
        assert [item["id"] for item in page["data"]] == [path.rpartition("/")[2]]
    assert len(world("GET", world.projects()).body["data"]) == 2
