"""How often a route asks the table, one call after the other; and that its permissions are exactly what it asks for."""

from collections.abc import Callable
from typing import Any

import pytest

from local.template import Function, Template
from tests.client import RECORDS, World, flat_path, in_camel_case, new_key
from tests.trace import Trace

Request = tuple[str, str, Any]

FLAT = {"projectName": "Apollo", "clientName": "Acme", "description": "To the moon"}


def in_kind(method: str, kind: str, *, flat: bool = False) -> Callable[[World, str], Request]:
    """A request to the list of a kind of records."""
    fields = in_camel_case(RECORDS[kind]) if flat else RECORDS[kind]
    body = fields if method == "POST" else None
    return lambda w, p: (method, f"{flat_path(p) if flat else p}/{kind}", body)


def on_record(method: str, kind: str, body: Any = None, *, flat: bool = False) -> Callable[[World, str], Request]:
    """A request to a new record."""

    def request(world: World, project: str) -> Request:
        path = world.new_record(project, kind)
        return method, flat_path(path) if flat else path, body

    return request


def on_task(method: str, suffix: str, body: Any, *, assign: bool = False) -> Callable[[World, str], Request]:
    """A flat request to a new task; one that assigns it to the contributor, a member."""

    def request(world: World, project: str) -> Request:
        path = flat_path(world.new_record(project, "tasks")) + suffix
        return method, path, {**body, "assignedTo": world.id("contributor")} if assign else body

    return request


# For each route a request that succeeds on a project `p` (v1 path) with the members owner, contributor and viewer;
# and the round trips it may take.
READS: dict[str, tuple[int, Callable[[World, str], Request]]] = {
    "ListProjects": (3, lambda w, p: ("GET", "/projects", None)),
    "GetProject": (1, lambda w, p: ("GET", flat_path(p), None)),
    "V1GetMe": (1, lambda w, p: ("GET", "/v1/me", None)),
    "V1ListRoles": (0, lambda w, p: ("GET", "/v1/roles", None)),
    "V1ListProjects": (1, lambda w, p: ("GET", w.projects(), None)),
    "V1GetProject": (1, lambda w, p: ("GET", p, None)),
    "V1ListMembers": (1, lambda w, p: ("GET", f"{p}/members", None)),
    "V1GetMember": (1, lambda w, p: ("GET", f"{p}/members/{w.uuid('viewer')}", None)),
    "GetReport": (1, lambda w, p: ("GET", f"{flat_path(p)}/report", None)),
    # Who is in it, then what they are called.
    "ListTeam": (2, lambda w, p: ("GET", f"{flat_path(p)}/team", None)),
    "SearchTeam": (1, lambda w, p: ("GET", f"{flat_path(p)}/team/search?q=outs", None)),
    "FindTeamMember": (1, lambda w, p: ("POST", f"{flat_path(p)}/team/find", {"email": "viewer@acme.example"})),
    "GetTask": (1, lambda w, p: ("GET", flat_path(w.new_record(p, "tasks")), None)),
    "ListTaskNotes": (1, lambda w, p: ("GET", f"{flat_path(w.new_record(p, 'tasks'))}/notes", None)),
    **{f"List{kind.title()}": (1, in_kind("GET", kind, flat=True)) for kind in RECORDS},
    **{f"V1List{kind.title()}": (1, in_kind("GET", kind)) for kind in RECORDS},
    **{f"V1Get{kind.title()[:-1]}": (1, on_record("GET", kind)) for kind in RECORDS},
}
WRITES: dict[str, Callable[[World, str], Request]] = {
    "CreateProject": lambda w, p: ("POST", "/projects", FLAT),
    "UpdateProject": lambda w, p: ("PUT", flat_path(p), FLAT),
    "DeleteProject": lambda w, p: ("DELETE", flat_path(p), None),
    "V1CreateProject": lambda w, p: ("POST", w.projects(), {"name": "Gemini"}),
    "V1UpdateProject": lambda w, p: ("PATCH", p, {"name": "Gemini", "manager_id": w.uuid("contributor")}),
    "V1DeleteProject": lambda w, p: ("DELETE", p, None),
    "V1AddMember": lambda w, p: (
        "POST",
        f"{p}/members",
        {"principal_id": w.uuid("outsider"), "role_id": w.role("viewer")},
    ),
    "V1UpdateMember": lambda w, p: ("PATCH", f"{p}/members/{w.uuid('viewer')}", {"role_id": w.role("manager")}),
    "V1RemoveMember": lambda w, p: ("DELETE", f"{p}/members/{w.uuid('viewer')}", None),
    "AddTeamMember": lambda w, p: ("POST", f"{flat_path(p)}/team", {"id": w.id("outsider")}),
    "RemoveTeamMember": lambda w, p: ("DELETE", f"{flat_path(p)}/team/{w.id('viewer')}", None),
    "UpdateTask": on_task("PUT", "", {"name": "B", "description": "C"}, assign=True),
    "SetTaskStatus": on_task("POST", "/status", {"status": "inProgress"}),
    "SetTaskPhase": on_task("PATCH", "/phase", {"phase": "evaluation"}),
    "ToggleTaskCompleted": on_task("PATCH", "/completed", {}),
    "ReassignTask": on_task("PATCH", "/reassign", {}, assign=True),
    "AddTaskNote": on_task("POST", "/notes", {"content": "Remember"}),
    "DeleteTaskNote": lambda w, p: ("DELETE", w.new_note(w.new_record(p, "tasks")), None),
    **{f"Create{kind.title()[:-1]}": in_kind("POST", kind, flat=True) for kind in RECORDS},
    **{f"Delete{kind.title()[:-1]}": on_record("DELETE", kind, flat=True) for kind in RECORDS},
    **{f"V1Create{kind.title()[:-1]}": in_kind("POST", kind) for kind in RECORDS},
    **{f"V1Update{kind.title()[:-1]}": on_record("PATCH", kind, {"phase": "business"}) for kind in RECORDS},
    **{f"V1Delete{kind.title()[:-1]}": on_record("DELETE", kind) for kind in RECORDS},
}
EVERY_ROUTE = {**{name: request for name, (_, request) in READS.items()}, **WRITES}


def a_project(world: World) -> str:
    path = world.new_project()
    world.new_member(path, "contributor", "contributor")
    world.new_member(path, "viewer", "viewer")
    return path


def test_every_route_is_counted(template: Template) -> None:
    behind_urls = {name for name, function in template.functions.items() if not is_automation(function)}
    assert set(EVERY_ROUTE) == behind_urls - {"Authorizer"}


@pytest.mark.parametrize("route", READS)
def test_a_read_takes_one_round_trip_and_its_permissions_are_what_it_uses(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    world, trace = traced
    trips, request = READS[route]
    method, path, body = request(world, a_project(world))
    trace.clear()
    assert world(method, path, body).status == 200
    assert trace.round_trips(route) == trips
    assert trace.width(route) <= 3
    assert trace.round_trips("Authorizer") <= 1
    assert trace.actions(route) == permissions(template, route)


@pytest.mark.parametrize("route", WRITES)
def test_a_write_takes_two_round_trips_and_its_replay_one_and_its_permissions_are_what_it_uses(
    traced: tuple[World, Trace], template: Template, route: str
) -> None:
    """By a role in the space and by one in the project: two places where a role is held until the commit."""
    world, trace = traced
    used: set[str] = set()
    # A creation goes by the role in the space, and a note is its author's.
    for by in ("owner",) if "Create" in route or route == "DeleteTaskNote" else ("owner", "contributor"):
        project = a_project(world)
        if by == "contributor":
            role = {"role_id": world.role("manager")}
            assert world("PATCH", f"{project}/members/{world.uuid(by)}", role).status == 200
        method, path, body = WRITES[route](world, project)
        key = new_key()
        trace.clear()
        first = world(method, path, body, by=by, key=key)
        assert first.status in (200, 201, 204), first
        assert trace.round_trips(route) == 2
        assert [call.operation for call in trace.of(route)].count("TransactWriteItems") == 1
        used |= trace.actions(route)
        trace.clear()
        second = world(method, path, body, by=by, key=key)
        assert (second.status, second.content, second.replayed) == (first.status, first.content, True)
        assert trace.round_trips(route) == 1
    assert used == permissions(template, route)


def test_a_refusal_takes_two_round_trips_at_most(traced: tuple[World, Trace]) -> None:
    """The second one asks whether a twin of the request was answered meanwhile."""
    world, trace = traced
    project = a_project(world)
    for by, key, trips in (("viewer", None, 1), ("viewer", new_key(), 2)):
        trace.clear()
        assert world("DELETE", project, by=by, key=key).status == 403
        assert trace.round_trips("V1DeleteProject") == trips


def test_listing_all_projects_takes_three_round_trips_however_many_there_are(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    for number in range(8):
        world.new_project(f"Apollo {number}", space=("default", "research")[number % 2])
    trace.clear()
    assert len(world("GET", "/projects").body) == 8
    assert trace.round_trips("ListProjects") == 3
    assert trace.width("ListProjects") <= 8


def test_a_caller_without_a_space_role_pays_a_second_trip_for_its_list(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    world.new_member(world.new_project(), "outsider", "viewer")
    trace.clear()
    assert len(world("GET", world.projects(), by="outsider").body["data"]) == 1
    assert trace.round_trips("V1ListProjects") == 2


def test_the_authorizers_permissions_are_what_it_uses(traced: tuple[World, Trace], template: Template) -> None:
    world, trace = traced
    assert world("GET", "/v1/me").status == 200
    assert trace.actions("Authorizer") == permissions(template, "Authorizer")


def is_automation(function: Function) -> bool:
    return function.handler.startswith("automation.")


def permissions(template: Template, function: str) -> set[str]:
    policies = template.resources[f"{function}Role"]["Properties"].get("Policies", [])
    return {
        action
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    }
