"""A suspended principal is refused everywhere from its next request on, and is given nothing."""

from collections.abc import Callable

import pytest

from tests.support.client import Answer, World, flat_path, new_key
from tests.support.principals import Enrol, path
from tests.support.requests import EVERY_ROUTE, WRITES, a_project
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit, Count

INACTIVE = "The principal of this credential is suspended or deleted."
TAKES_NOTHING = "The principal is suspended."


def suspend(world: World, name: str) -> Answer:
    answer = world("PATCH", path(world, name), {"status": "suspended"})
    assert answer.status == 200, answer
    return answer


def resume(world: World, name: str) -> None:
    assert world("PATCH", path(world, name), {"status": "active"}).status == 200


def require_inactive(answer: Answer) -> None:
    assert answer.seen == (401, {"error": INACTIVE, "detail": INACTIVE})
    assert answer.headers["x-error-code"] == "principal_inactive"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "idempotent-replayed" not in answer.headers


@pytest.fixture
def colleague(world: World, enrol: Enrol) -> str:
    """Who may do everything."""
    enrol("colleague", {"default": "owner", "research": "owner"}, tenant_role="admin")
    return "colleague"


def test_every_route_refuses_a_suspended_principal(world: World, colleague: str, count: Count) -> None:
    """In both dialects, with and without an Idempotency-Key."""
    project = a_project(world)
    requests = {route: request(world, project) for route, request in EVERY_ROUTE.items()}
    suspend(world, colleague)
    for method, address, body in requests.values():
        for key in (None, new_key()):
            require_inactive(world(method, address, body, by=colleague, key=key))
            count(requests=1)
    resume(world, colleague)
    for method, address, body in requests.values():
        if method == "GET":
            assert world(method, address, body, by=colleague).status == 200


def test_kept_answers_are_not_given_to_a_suspended_principal(world: World, colleague: str, count: Count) -> None:
    sent = []
    for request in WRITES.values():
        method, address, body = request(world, a_project(world))
        # A note is deleted by its author alone, and a person rotates its own credentials.
        by = "owner" if "/notes/" in address or address.endswith("/rotate") else colleague
        key = new_key()
        first = world(method, address, body, by=by, key=key)
        assert first.status < 300, (method, address, first)
        if by == colleague:
            sent.append((method, address, body, key, first))
    suspend(world, colleague)
    for method, address, body, key, _ in sent:
        require_inactive(world(method, address, body, by=colleague, key=key))
        count(replays=1)
    resume(world, colleague)
    for method, address, body, key, first in sent:
        again = world(method, address, body, by=colleague, key=key)
        assert (again.status, again.content, again.replayed) == (first.status, first.recorded, True)


def test_principal_has_its_roles_again_once_it_is_active(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "outsider", "viewer")
    me = world("GET", "/v1/me", by="viewer").body
    for name in ("viewer", "outsider"):
        suspend(world, name)
        assert world("GET", "/v1/principals/" + world.uuid(name)).body["status"] == "suspended"
    require_inactive(world("GET", project, by="outsider"))
    listed = world("GET", f"{project}/members").body["data"]
    assert world.uuid("outsider") in {member["principal_id"] for member in listed}
    for name in ("viewer", "outsider"):
        resume(world, name)
    assert world("GET", "/v1/me", by="viewer").body == me
    assert world("GET", project, by="outsider").status == 200
    require_sound()


def givings(world: World, project: str) -> dict[str, Callable[[], Answer]]:
    """The things that a principal is given: the outsider is no member yet, and the viewer is one."""
    outsider = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    return {
        "member": lambda: world("POST", f"{project}/members", outsider),
        "team": lambda: world("POST", f"{flat_path(project)}/team", {"id": world.id("outsider")}),
        "manager": lambda: world("PATCH", project, {"manager_id": world.uuid("viewer"), "name": "Ours"}),
    }


@pytest.mark.parametrize("what", ["member", "team", "manager"])
def test_suspended_principal_is_given_nothing(world: World, what: str) -> None:
    project = a_project(world)
    name = "viewer" if what == "manager" else "outsider"
    suspend(world, name)
    before = world("GET", project)
    refused = givings(world, project)[what]()
    spelled = {"error" if what == "team" else "detail": TAKES_NOTHING}
    assert (refused.seen, refused.headers["x-error-code"]) == ((409, spelled), "principal_suspended")
    assert world("GET", project).seen == before.seen
    resume(world, name)
    assert givings(world, project)[what]().status in (200, 201)
    require_sound()


@pytest.mark.parametrize("what", ["member", "team", "manager"])
def test_principal_that_is_suspended_in_between_is_given_nothing(
    world: World, before_commit: BeforeCommit, what: str
) -> None:
    """The suspension commits between the reading of the request and its commit."""
    project = a_project(world)
    name = "viewer" if what == "manager" else "outsider"
    before_commit(lambda other: other("PATCH", path(world, name), {"status": "suspended"}))
    refused = givings(world, project)[what]()
    assert (refused.status, refused.headers["x-error-code"]) == (409, "principal_suspended")
    assert world("GET", project).body["manager_id"] == world.uuid("owner")
    require_sound()


def test_project_that_keeps_its_manager_is_changed_though_that_one_is_suspended(world: World) -> None:
    project = a_project(world)
    assert world("PATCH", project, {"manager_id": world.uuid("viewer")}).status == 200
    suspend(world, "viewer")
    changed = world("PATCH", project, {"manager_id": world.uuid("viewer"), "name": "Ours"})
    assert (changed.status, changed.body["name"]) == (200, "Ours")
    assert world("PATCH", project, {"manager_id": world.uuid("owner")}).status == 200
