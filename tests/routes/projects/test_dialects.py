"""A project in both dialects."""

from tests.support.client import World, flat_id, flat_path, v1_id
from tests.support.requests import FLAT


def test_a_flat_project_is_a_v1_project(world: World) -> None:
    created = world("POST", "/projects", FLAT).body
    path = f"{world.projects()}/{v1_id(created['_id'])}"
    project = world("GET", path).body
    assert (project["name"], project["description"]) == (FLAT["projectName"], {"summary": FLAT["description"]})
    assert project["space_id"] == project["tenant_id"], "the default space has the tenant's id"
    assert project["manager_id"] == project["created_by"] == v1_id(created["manager"])
    assert [item["id"] for item in world("GET", world.projects()).body["data"]] == [project["id"]]
    assert world("PATCH", path, {"name": "Gemini"}).status == 200
    assert world("GET", flat_path(path)).body == {**created, "projectName": "Gemini"}
    assert world("DELETE", path).status == 204
    assert world("GET", flat_path(path)).seen == (404, {"error": "Project not found."})
    assert world("GET", "/projects").body == []


def test_a_v1_project_is_a_flat_project(world: World) -> None:
    path = world.new_project("Apollo", space="research")
    flat = flat_path(path)
    shown = world("GET", flat).body
    assert shown == {
        "_id": flat_id(path.rpartition("/")[2]),
        "projectName": "Apollo",
        "clientName": "",
        "description": "",
        "manager": world.id("owner"),
        "tasks": [],
        "team": [],
    }
    assert world("GET", "/projects").body == [shown]
    revised = world("PUT", flat, {"projectName": "Gemini", "clientName": "Acme", "description": "To the moon"})
    assert revised.status == 200
    project = world("GET", path).body
    assert (project["name"], project["description"]) == ("Gemini", {"summary": "To the moon"})
    assert world("DELETE", flat).status == 200
    assert world("GET", path).status == 404
    assert world("GET", world.projects("research")).body["data"] == []


def test_flat_shows_and_changes_the_summary_of_each_description(world: World) -> None:
    """Stored, shown in flat, stored after a flat change to "new"."""
    cases = (
        (None, "", {"summary": "new"}),
        ("text", "text", "new"),
        ("", "", "new"),
        ({"summary": "text", "n": 1.5}, "text", {"summary": "new", "n": 1.5}),
        ({"n": 1}, "", {"n": 1, "summary": "new"}),
        ({"summary": ["no", "text"]}, "", {"summary": "new"}),
    )
    for stored, shown, after in cases:
        path = f"{world.projects()}/{world('POST', world.projects(), {'name': 'A', 'description': stored}).body['id']}"
        flat = world("GET", flat_path(path)).body
        assert flat["description"] == shown, stored
        same = world("PUT", flat_path(path), {**flat, "projectName": "B"})
        assert (same.status, same.body["description"]) == (200, shown)
        assert world("GET", path).body["description"] == stored, "an unchanged one is left alone"
        changed = world("PUT", flat_path(path), {**flat, "description": "new"})
        assert changed.body["description"] == "new"
        assert world("GET", path).body["description"] == after


def test_flat_change_keeps_numbers_and_key_order(world: World) -> None:
    sent = b'{"name":"A","description":{"z":1.10,"summary":"a","a":[1e5,-0,12345678901234567890123456789012345678]}}'
    path = f"{world.projects()}/{world('POST', world.projects(), content=sent).body['id']}"
    flat = world("GET", flat_path(path)).body
    world("PUT", flat_path(path), {**flat, "description": "b"})
    expected = b'"description":{"z":1.10,"summary":"b","a":[1e5,-0,12345678901234567890123456789012345678]}'
    assert expected in world("GET", path).content


def test_names_are_trimmed_in_both_dialects(world: World) -> None:
    assert world("POST", world.projects(), {"name": "  Apollo\u2003"}).body["name"] == "Apollo"
    created = world("POST", "/projects", {**FLAT, "projectName": " A ", "clientName": " B "}).body
    assert (created["projectName"], created["clientName"]) == ("A", "B")
    revised = world("PUT", f"/projects/{created['_id']}", {**FLAT, "clientName": " C "}).body
    assert revised["clientName"] == "C"


def test_version_of_each_dialect_counts_changes_of_its_body(world: World) -> None:
    path = world.new_project()

    def tags() -> tuple[str, str]:
        return world("GET", path).headers["etag"], world("GET", flat_path(path)).headers["etag"]

    assert tags() == ('"v-1"', '"f-1"')
    member = world.new_member(path, "viewer", "viewer")
    assert tags() == ('"v-1"', '"f-2"')
    world("PATCH", path, {"name": "B"})
    assert tags() == ('"v-2"', '"f-3"')
    world("PATCH", member, {"role_id": world.role("manager")})
    world("PATCH", path, {"manager_id": world.uuid("viewer")})
    assert tags() == ('"v-3"', '"f-5"')
    world("DELETE", f"{path}/members/{world.uuid('owner')}")
    assert tags() == ('"v-3"', '"f-6"')
