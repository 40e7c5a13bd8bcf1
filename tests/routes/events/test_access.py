"""Who may read events: an admin all of them, a manager those of a project, in part."""

from typing import Any

import pytest

from atrium import keys
from tests.support.client import Answer, World, flat_id, v1_id
from tests.support.rows import rows_here

REFUSED = (403, {"detail": "You may not read the events of this tenant."})


def of_project(world: World, project: str, by: str = "owner", **options: Any) -> Answer:
    return world("GET", f"/v1/events?project_id={project.rpartition('/')[2]}", by=by, **options)


def as_manager_sees(event: dict[str, Any]) -> dict[str, Any]:
    """An event without its request, its credential and that one's issuer."""
    actor = {name: event["actor"][name] for name in ("principal_id", "kind")}
    return {name: value for name, value in event.items() if name != "request_id"} | {"actor": actor}


def test_manager_sees_the_events_of_its_project_without_credentials_and_requests(world: World) -> None:
    project, other = world.new_project(), world.new_project()
    world.new_member(project, "outsider", "manager")
    world.new_record(project, "tasks")
    all_of_it = of_project(world, project).body["data"]
    assert [event["type"] for event in all_of_it] == ["task.created", "member.added", "project.created"]
    assert all(event["request_id"] and event["actor"]["credential_id"] for event in all_of_it)
    seen = of_project(world, project, by="outsider")
    assert (seen.status, seen.body["data"]) == (200, [as_manager_sees(event) for event in all_of_it])
    for event in all_of_it:
        answer = world("GET", f"/v1/events/{event['id']}", by="outsider")
        assert answer.seen == (200, as_manager_sees(event))
    assert world("GET", "/v1/events", by="outsider").seen == REFUSED
    assert of_project(world, other, by="outsider").seen == REFUSED
    (elsewhere,) = of_project(world, other).body["data"]
    assert world("GET", f"/v1/events/{elsewhere['id']}", by="outsider").seen == REFUSED


@pytest.mark.parametrize("role", ["viewer", "contributor"])
def test_member_with_a_weaker_role_sees_no_events(world: World, role: str) -> None:
    project = world.new_project()
    world.new_member(project, "outsider", role)
    (*_, created) = of_project(world, project).body["data"]
    assert of_project(world, project, by="outsider").seen == REFUSED
    assert world("GET", f"/v1/events/{created['id']}", by="outsider").seen == REFUSED
    assert world("GET", f"/v1/events/{v1_id('0' * 24)}", by="outsider").seen == REFUSED


def test_events_of_a_deleted_project_are_for_admins_alone(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "outsider", "manager")
    assert of_project(world, project, by="outsider").status == 200
    assert world("DELETE", project).status == 204
    deleted, *_ = of_project(world, project).body["data"]
    assert deleted["type"] == "project.deleted"
    assert of_project(world, project, by="outsider").seen == REFUSED
    assert world("GET", f"/v1/events/{deleted['id']}", by="outsider").seen == REFUSED
    assert world("GET", f"/v1/events/{deleted['id']}").seen == (200, deleted)


def test_owner_of_another_space_sees_the_events_of_projects_there_as_a_manager(world: World) -> None:
    """The roles are lowered past the API."""
    project, default = world.new_project(space="research"), world.new_project()
    all_of_it = of_project(world, project).body["data"]
    rows = rows_here()
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    person = keys.principal(tenant, world.id("owner"))
    before = rows.get(person)
    assert before is not None
    rows.change(person, spaces=before["spaces"] | {tenant: "contributor"}, tenant_role="member")
    rows.delete(keys.member(tenant, flat_id(default.rpartition("/")[2]), world.id("owner")))
    seen = of_project(world, project)
    assert (seen.status, seen.body["data"]) == (200, [as_manager_sees(event) for event in all_of_it])
    assert of_project(world, default).seen == REFUSED
    assert world("GET", "/v1/events").seen == REFUSED


def test_events_of_another_tenant_are_never_shown(world: World) -> None:
    project, theirs = world.new_project(), world.new_project(tenant="globex")
    for tenant in ("acme", "globex"):
        shown = world("GET", "/v1/events?limit=100", tenant=tenant).body["data"]
        assert {event["tenant_id"] for event in shown} == {world.dev["tenants"][tenant]["tenant_id"]}
    (told,) = of_project(world, theirs, tenant="globex").body["data"]
    assert of_project(world, theirs).body["data"] == []
    assert world("GET", f"/v1/events/{told['id']}").seen == (404, {"detail": "Event not found."})
    assert world("GET", f"/v1/events?actor_id={world.uuid('owner', 'globex')}").body["data"] == []
    assert of_project(world, project).body["data"] != []
