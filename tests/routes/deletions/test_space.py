"""A space is deleted at once, and its members' roles with it; a project that slips in goes too."""

from datetime import timedelta
from typing import Any

import pytest

from atrium.automation import streams
from atrium.store.engine.table import table
from atrium.store.purge import Deletion, Purge, queued
from local.functions import call
from local.template import Template
from tests.support.client import A_MOMENT, A_UUID, RECORDS, World, flat_path, new_key, v1_id
from tests.support.credentials import asked, made
from tests.support.deletions import in_short, purge_all, records, rows_about, told, unhurried
from tests.support.requests import FLAT
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit

NOT_FOUND = (404, {"detail": "Space not found."})


def research(world: World) -> str:
    """The path of the space research, in which owner, contributor and viewer have roles."""
    return world.projects("research").rpartition("/")[0]


def test_deleted_space_is_gone_for_everyone_at_once(world: World) -> None:
    space = research(world)
    kept = world("GET", "/v1/me").body["spaces"]
    before = world("GET", space).body
    deleted = world("DELETE", space)
    assert deleted.seen == (204, None)
    for name in ("owner", "viewer"):
        assert world("GET", space, by=name).seen == NOT_FOUND
        assert world("GET", f"{space}/projects", by=name).seen == NOT_FOUND
        assert world("POST", f"{space}/projects", {"name": "Apollo"}, by=name).seen == NOT_FOUND
        shown = world("GET", "/v1/me", by=name).body["spaces"]
        assert [each["name"] for each in shown] == ["Acme"]
        listed = world("GET", "/v1/spaces", by=name).body
        assert [each["name"] for each in listed["data"]] == ["Acme"]
    assert world("DELETE", space).seen == NOT_FOUND
    assert len(kept) == 2
    (event,) = told(world, "space.deleted")
    assert event == {
        "id": A_UUID,
        "type": "space.deleted",
        "time": A_MOMENT,
        "tenant_id": before["tenant_id"],
        "space_id": before["id"],
        "request_id": deleted.headers["x-request-id"],
        "actor": {"principal_id": world.uuid("owner"), "kind": "user", "credential_id": A_UUID, "issued_by": None},
        "resource": before,
    }
    require_sound()


def test_space_is_deleted_by_admins_alone_and_without_projects(world: World) -> None:
    space, project = research(world), world.new_project(space="research")
    refused = world("DELETE", space)
    assert refused.seen == (409, {"detail": "The space has projects. Delete them first."})
    assert refused.headers["x-error-code"] == "space_not_empty"
    default = world("DELETE", world.projects().rpartition("/")[0])
    assert default.seen == (409, {"detail": "The default space of a tenant cannot be deleted."})
    assert default.headers["x-error-code"] == "default_space"
    refused = world("DELETE", space, by="contributor")
    assert refused.seen == (403, {"detail": "You may not create or delete spaces."})
    assert world("DELETE", space, tenant="globex").seen == NOT_FOUND
    assert world("DELETE", f"/v1/spaces/{v1_id('0' * 24)}").seen == NOT_FOUND
    assert world("DELETE", project).status == 204
    assert world("DELETE", space, headers={"If-Match": '"v-7"'}).status == 412
    tag = world("GET", space).headers["etag"]
    assert world("DELETE", space, headers={"If-Match": tag}).status == 204


def test_repeated_deletion_of_a_space_with_its_key_is_answered_the_same(world: World) -> None:
    key = new_key()
    assert world("DELETE", research(world), key=key).status == 204
    again = world("DELETE", research(world), key=key)
    assert (again.status, again.replayed) == (204, True)
    assert len(told(world, "space.deleted")) == 1


def test_roles_in_a_deleted_space_end_with_events_that_name_the_deletion(world: World, template: Template) -> None:
    space = research(world)
    key = made(world, "owner")
    deleted = asked(world, key["secret"], "DELETE", space)
    assert purge_all(template) == pytest.approx(30, abs=2)
    cause = (world.uuid("owner"), deleted.headers["x-request-id"])
    found = [in_short(event) for event in told(world, "space_member.*")]
    members = sorted(map(world.uuid, ("owner", "contributor", "viewer")))
    assert sorted(each for each in found if each[3] == cause[1]) == [
        ("space_member.removed", member, *cause) for member in members
    ]
    actor = {
        "principal_id": world.uuid("owner"),
        "kind": "user",
        "credential_id": key["id"],
        "issued_by": key["issued_by"],
    }
    ends = [event for event in told(world, "space*") if event["request_id"] == cause[1]]
    assert [event["actor"] for event in ends] == [actor] * 4
    assert rows_about(space.rpartition("/")[2]) == []
    require_sound()
    assert world.new_project(), "the other space is as it was"


def test_project_created_while_its_space_is_deleted_goes_with_it(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    space = research(world)
    requests: list[str] = []

    def delete(other: World) -> Any:
        answer = other("DELETE", space)
        requests.append(answer.headers["x-request-id"])
        return answer

    before_commit(delete)
    made = world("POST", f"{space}/projects", {"name": "Apollo"}, by="contributor")
    assert made.status == 201, "its transaction rests on no row of the space itself"
    project = f"{space}/projects/{made.body['id']}"
    assert world("POST", f"{project}/tasks", RECORDS["tasks"], by="contributor").status == 201
    require_sound()
    purge_all(template)
    assert world("GET", project, by="contributor").seen == (404, {"detail": "Project not found."})
    assert world("PUT", flat_path(project), FLAT, by="contributor").status == 404
    (event,) = told(world, "project.deleted")
    assert in_short(event) == ("project.deleted", made.body["id"], world.uuid("owner"), requests[0])
    assert rows_about(made.body["id"]) == []
    assert rows_about(space.rpartition("/")[2]) == []
    require_sound()


CHANGES = {
    "another name": lambda w, s: w("PATCH", s, {"name": "B"}),
    "a member": lambda w, s: w("POST", f"{s}/members", member(w, "outsider", "viewer")),
    "another role": lambda w, s: w("PATCH", f"{s}/members/{w.uuid('viewer')}", {"role_id": w.role("manager")}),
    "a member less": lambda w, s: w("DELETE", f"{s}/members/{w.uuid('viewer')}"),
}


def member(world: World, name: str, role: str) -> dict[str, str]:
    return {"principal_id": world.uuid(name), "role_id": world.role(role)}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_a_space_that_is_deleted_in_between_finds_none(
    world: World, template: Template, before_commit: BeforeCommit, change: str
) -> None:
    before_commit(lambda other: other("DELETE", research(world)))
    assert CHANGES[change](world, research(world)).seen == NOT_FOUND
    purge_all(template)
    assert rows_about(research(world).rpartition("/")[2]) == []
    require_sound()


def test_project_that_is_created_while_its_space_is_found_empty_goes_with_it(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    """The create commits between the read of the deletion and its commit."""
    made: list[Any] = []

    def create(other: World) -> Any:
        made.append(other("POST", f"{research(world)}/projects", {"name": "Apollo"}, by="contributor"))
        return made[0]

    before_commit(create)
    deleted = world("DELETE", research(world))
    assert deleted.status == 204
    purge_all(template)
    (event,) = told(world, "project.deleted")
    cause = (world.uuid("owner"), deleted.headers["x-request-id"])
    assert in_short(event) == ("project.deleted", made[0].body["id"], *cause)
    assert rows_about(made[0].body["id"]) == []
    require_sound()


def test_purge_of_a_space_ends_when_nothing_can_slip_in_any_more(world: World) -> None:
    assert world("DELETE", research(world)).status == 204
    (row,) = queued(table())
    with unhurried() as passing:
        first = Purge(table(), Deletion.of(row))
        assert first.run() is False, "too early to end"
        assert first.removed > 0
        passing.sleep(29)
        assert Purge(table(), Deletion.of(row)).run() is False
        passing.sleep(2)
        assert Purge(table(), Deletion.of(row)).run() is True
        assert Purge(table(), Deletion.of(row)).run() is True, "a second purge has no work to do"
    assert list(queued(table())) == []


def test_sweep_purges_a_deleted_space(world: World, template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SWEPT_AFTER", timedelta())
    assert world("DELETE", research(world)).status == 204
    with unhurried():
        assert call(template.functions["SweepDeleted"], {}) == {"found": 1, "purged": 1}
    assert records() == []
