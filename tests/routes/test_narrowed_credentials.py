"""A credential that is narrowed does and shows no more than that, in both dialects."""

import pytest

from tests.support.client import Answer, World, every_page, flat_id, flat_path, new_key
from tests.support.requests import FLAT
from tests.support.rows import narrowing, set_space_roles

NARROWED = "Your credential is narrowed and does not permit this, though you may do it with one that does."


def require_narrowed(answer: Answer) -> None:
    assert (answer.status, answer.headers.get("x-error-code")) == (403, "credential_narrowed"), answer
    assert answer.body in ({"detail": NARROWED}, {"error": NARROWED})


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def test_one_narrowed_to_projects_reaches_them_alone(world: World) -> None:
    first, second, other = (world.new_project(name) for name in ("A", "B", "C"))
    elsewhere = world.new_project(space="research")
    key = new_key()
    answered = world("PATCH", other, {"name": "D"}, key=key)
    assert answered.status == 200
    with narrowing(world, "owner", projects=[flat_id(id_of(path)) for path in (first, second, elsewhere)]):
        assert [each["id"] for each in every_page(world, world.projects(), limit=1)] == [id_of(first), id_of(second)]
        assert [each["id"] for each in world("GET", world.projects("research")).body["data"]] == [id_of(elsewhere)]
        assert {each["_id"] for each in world("GET", "/projects").body} == {
            id_of(flat_path(path)) for path in (first, second, elsewhere)
        }
        assert world("PATCH", first, {"name": "E"}).status == 200
        assert world("PUT", flat_path(first), FLAT).status == 200
        for path in (other, flat_path(other)):
            require_narrowed(world("GET", path))
            require_narrowed(world("DELETE", path))
        require_narrowed(world("PUT", flat_path(other), FLAT))
        require_narrowed(world("PATCH", other, {"name": "D"}, key=key))
        require_narrowed(world("POST", world.projects(), {"name": "F"}))
        require_narrowed(world("POST", "/projects", FLAT))
    assert world("PATCH", other, {"name": "D"}, key=key).replayed


def test_one_narrowed_to_permissions_changes_nothing_else(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "outsider", "viewer")
    with narrowing(world, "owner", permissions=["project:read", "member:read"]):
        assert world("GET", project).status == world("GET", flat_path(project)).status == 200
        assert [each["id"] for each in world("GET", world.projects()).body["data"]] == [id_of(project)]
        require_narrowed(world("PATCH", project, {"name": "B"}))
        require_narrowed(world("PUT", flat_path(project), FLAT))
        require_narrowed(world("DELETE", flat_path(project)))
        require_narrowed(world("DELETE", f"{project}/members/{world.uuid('outsider')}"))
        require_narrowed(world("GET", f"{flat_path(project)}/team/search?q=outsider"))


def test_one_narrowed_to_a_place_has_no_events_but_those_of_a_project_that_it_manages(world: World) -> None:
    project, other = world.new_project(), world.new_project()
    with narrowing(world, "owner", projects=[flat_id(id_of(project))]):
        assert world("GET", "/v1/events").status == 403
        assert world("GET", f"/v1/events?project_id={id_of(other)}").status == 403
        (event,) = world("GET", f"/v1/events?project_id={id_of(project)}").body["data"]
        assert "request_id" not in event, "as a manager sees it"


@pytest.mark.parametrize("space", ["default", "research"])
def test_one_narrowed_to_spaces_finds_people_of_them_alone(world: World, space: str) -> None:
    """The contributor has no role in research."""
    spaces = world.dev["tenants"]["acme"]["spaces"]
    set_space_roles(world, "contributor", {spaces["default"]: "contributor"})
    set_space_roles(world, "owner", dict.fromkeys(spaces.values(), "contributor"))
    project = world.new_project(space=space)
    with narrowing(world, "owner", spaces=[flat_id(spaces[space])]):
        found = world("GET", f"{flat_path(project)}/team/search?q=contributor").body
        assert [each["name"] for each in found] == (["Contributor of Acme"] if space == "default" else [])
