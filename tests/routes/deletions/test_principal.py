"""A principal is deleted at once: no credential of it is taken, and nothing leads to it. What it had goes after it."""

from collections.abc import Callable
from typing import Any

import pytest

from atrium import keys
from atrium.credentials import digest
from atrium.settings import LAST_CALL_AFTER
from atrium.store import deletions
from atrium.store.engine.scope import scope
from atrium.store.engine.table import table
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import A_MOMENT, A_UUID, Answer, World, flat_id, flat_path, new_key, v1_id
from tests.support.credentials import asked, made
from tests.support.deletions import in_short, purge_all, rows_about, told, unhurried
from tests.support.rows import require_sound, rows_here, set_space_roles
from tests.support.world import BeforeCommit

NOT_FOUND = (404, {"detail": "Principal not found."})


def path_of(world: World, name: str) -> str:
    return f"/v1/principals/{world.uuid(name)}"


def provision(world: World, template: Template, name: str, **fields: Any) -> None:
    """One more principal of acme."""
    acme = world.dev["tenants"]["acme"]
    person = {"name": name, "email": f"{name}@acme.example", "credentials": [{"kind": "token"}], **fields}
    request = {"request_token": f"more-{name}", "tenant_id": acme["tenant_id"], "principals": [person]}
    (made,) = call(template.functions["Provision"], request)["principals"]
    acme["principals"][name] = {**made, "token": made["credentials"][0]["secret"]}


def managers(world: World, *projects: str) -> list[str]:
    return [world("GET", project).body["manager_id"] for project in projects]


def members(world: World, project: str) -> set[str]:
    return {member["principal_id"] for member in world("GET", f"{project}/members").body["data"]}


# ---------------------------------------------------------------- at once


def test_deleted_principal_is_refused_at_once_and_no_name_leads_to_it(world: World, template: Template) -> None:
    viewer, project = world.principal("viewer"), world.new_project()
    world.new_member(project, "viewer", "viewer")
    assert world("GET", "/v1/me", by="viewer").status == 200
    deleted = world("DELETE", path_of(world, "viewer"))
    assert deleted.seen == (204, None)
    inactive = "The principal of this credential is suspended or deleted."
    for path in ("/v1/me", "/projects", "/v1/roles", project):
        refused = world("GET", path, by="viewer")
        assert refused.seen == (401, {"error": inactive, "detail": inactive})
    by_key = world.raw("GET", "/v1/me", [("X-API-Key", viewer["api_key"])])
    assert by_key.status == 401
    found = world("POST", f"{flat_path(project)}/team/find", {"email": "viewer@acme.example"})
    assert found.seen == (404, {"error": "User not found."})
    assert world("GET", f"{flat_path(project)}/team/search?q=viewer").body == []
    added = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    assert world("POST", f"{world.new_project()}/members", added).status == 422
    assert world("DELETE", path_of(world, "viewer")).seen == NOT_FOUND
    (event,) = told(world, "principal.deleted")
    assert event == {
        "id": A_UUID,
        "type": "principal.deleted",
        "time": A_MOMENT,
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "principal_id": world.uuid("viewer"),
        "request_id": deleted.headers["x-request-id"],
        "actor": {"principal_id": world.uuid("owner"), "kind": "user", "credential_id": A_UUID, "issued_by": None},
        "resource": {
            "id": world.uuid("viewer"),
            "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
            "kind": "user",
            "tenant_role": "member",
            "status": "active",
            "created_at": A_MOMENT,
            "updated_at": A_MOMENT,
        },
    }
    require_sound()
    # The address is free at once.
    provision(world, template, "viewer")
    assert world.principal("viewer")["id"] != viewer["id"]
    require_sound()


def test_principals_are_deleted_by_admins_alone(world: World) -> None:
    refused = world("DELETE", path_of(world, "viewer"), by="contributor")
    assert refused.seen == (403, {"detail": "You may not manage the principals of this tenant."})
    nothing = f"/v1/principals/{v1_id('0' * 24)}"
    assert world("DELETE", nothing, by="contributor").seen == refused.seen, "whether there is one or not"
    assert world("DELETE", nothing).seen == NOT_FOUND
    assert world("DELETE", path_of(world, "viewer"), tenant="globex").seen == NOT_FOUND
    assert world("DELETE", path_of(world, "viewer"), headers={"If-Match": '"v-7"'}).status == 412
    key = new_key()
    assert world("DELETE", path_of(world, "viewer"), key=key).status == 204
    again = world("DELETE", path_of(world, "viewer"), key=key)
    assert (again.status, again.replayed) == (204, True)


def test_admin_is_deleted_with_a_credential_that_has_all_that_an_admin_may(world: World, template: Template) -> None:
    provision(world, template, "ada", tenant_role="admin")
    manages = made(world, "owner", permissions=["principal:manage"])["secret"]
    refused = asked(world, manages, "DELETE", path_of(world, "ada"))
    assert (refused.status, refused.headers["x-error-code"]) == (403, "credential_narrowed")
    assert asked(world, manages, "DELETE", path_of(world, "viewer")).status == 204
    assert world("DELETE", path_of(world, "ada")).status == 204


def test_named_manager_is_not_deleted_before_a_hand_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions, "_PAGE", 2)
    mine = [world.new_project(by="contributor") for _ in range(3)]
    world.new_member(world.new_project(), "contributor", "viewer")
    for number, count in ((3, "3 projects"), (2, "2 projects"), (1, "a project")):
        refused = world("DELETE", path_of(world, "contributor"))
        assert refused.seen == (
            409,
            {"detail": f"The principal is the named manager of {count}. Hand over what it manages first."},
        )
        assert refused.headers["x-error-code"] == "is_manager"
        world.new_member(mine[number - 1], "viewer", "viewer")
        assert world("PATCH", mine[number - 1], {"manager_id": world.uuid("viewer")}).status == 200
    assert world("DELETE", path_of(world, "contributor")).status == 204


def test_last_active_admin_is_not_deleted(world: World, template: Template) -> None:
    refused = world("DELETE", path_of(world, "owner"))
    assert refused.seen == (409, {"detail": "A tenant keeps one active admin."})
    assert refused.headers["x-error-code"] == "last_admin"
    provision(world, template, "ada", tenant_role="admin")
    assert world("DELETE", path_of(world, "owner")).status == 204, "one deletes itself"
    assert world("GET", "/v1/me").status == 401
    assert world("DELETE", path_of(world, "ada"), by="ada").status == 409
    require_sound()


def test_two_admins_who_delete_each_other_leave_one(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    provision(world, template, "ada", tenant_role="admin")
    before_commit(lambda other: other("DELETE", path_of(world, "owner"), by="ada"))
    assert world("DELETE", path_of(world, "ada")).status == 401
    assert world("GET", "/v1/me", by="ada").status == 200
    require_sound()


# ---------------------------------------------------------------- what the purge removes


def test_memberships_roles_and_credentials_end_with_events_that_name_the_deletion(
    world: World, template: Template
) -> None:
    projects = [world.new_project(), world.new_project(space="research")]
    for project in projects:
        world.new_member(project, "viewer", "contributor")
    archived = world.new_project()
    world.new_member(archived, "viewer", "viewer")
    assert world("PATCH", archived, {"status": "archived"}).status == 200
    task = world.new_record(projects[0], "tasks", assigned_to=world.uuid("viewer"))
    enrolment = {"kind": "token", "name": "Laptop", "enrol": True}
    assert world("POST", f"{path_of(world, 'viewer')}/credentials", enrolment).status == 201
    hashes = [keys.credential(digest(world.principal("viewer")[name])) for name in ("token", "api_key")]
    before = len(told(world, "space_member.removed", "member.removed"))
    deleted = world("DELETE", path_of(world, "viewer"))
    assert purge_all(template) == pytest.approx(30, abs=2)
    cause = (world.uuid("viewer"), world.uuid("owner"), deleted.headers["x-request-id"])
    found = sorted(in_short(event) for event in told(world, "space_member.removed", "member.removed")[before:])
    assert found == [("member.removed", *cause)] * 3 + [("space_member.removed", *cause)] * 2
    for project in (*projects, archived):
        assert members(world, project) == {world.uuid("owner")}
    with scope(None, credentials=True):
        assert table().get_all(hashes) == {}
    # Its works keep its id.
    assert world("GET", task).body["assigned_to"] == world.uuid("viewer")
    assert rows_about(world.uuid("viewer")) == []
    require_sound()


def test_identity_that_another_principal_has_by_now_stays(world: World, template: Template) -> None:
    """The row of an identity that was revoked names the same digest as that of its successor."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows = rows_here()
    mine = next(row for row in rows.all() if row.get("subject") == "viewer@acme.example")
    theirs = next(row for row in rows.all() if row.get("subject") == "outsider@acme.example")
    rows.change(keys.Key(mine["pk"], mine["sk"]), sha256=theirs["sha256"])
    rows.delete(keys.credential(mine["sha256"]))
    assert world("DELETE", path_of(world, "viewer")).status == 204
    purge_all(template)
    assert rows_about(world.uuid("viewer")) == []
    left = rows.get(keys.credential(theirs["sha256"]))
    assert left is not None
    assert (left["tenant"], left["principal"]) == (tenant, world.id("outsider"))
    require_sound()


def test_last_owner_of_a_space_may_be_deleted(world: World, template: Template) -> None:
    provision(world, template, "ada", tenant_role="admin")
    assert world("DELETE", path_of(world, "owner"), by="ada").status == 204
    purge_all(template)
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows = rows_here()
    assert (rows.get(keys.owners(tenant, tenant)) or {})["count"] == 0
    require_sound()


# ---------------------------------------------------------------- what slips in


def hand_over(world: World, project: str, name: str) -> Answer:
    return world("PATCH", project, {"manager_id": world.uuid(name)})


def test_project_handed_to_a_principal_that_is_deleted_in_between_goes_to_who_deleted_it(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    """The hand-over commits between the deletion's read and its commit."""
    project = world.new_project(by="contributor")
    world.new_member(project, "viewer", "viewer")
    before_commit(lambda other: hand_over(other, project, "viewer"))
    deleted = world("DELETE", path_of(world, "viewer"))
    assert deleted.status == 204
    assert managers(world, project) == [world.uuid("viewer")]
    require_sound()
    purge_all(template)
    assert managers(world, project) == [world.uuid("owner")]
    assert members(world, project) == {world.uuid("owner"), world.uuid("contributor")}
    request = deleted.headers["x-request-id"]
    caused = [event for event in told(world, "member.*", "project.*") if event["request_id"] == request]
    assert [in_short(event)[:3] for event in caused] == [
        ("member.added", world.uuid("owner"), world.uuid("owner")),
        ("project.updated", flat_uuid(project), world.uuid("owner")),
        ("member.removed", world.uuid("viewer"), world.uuid("owner")),
    ]
    assert caused[1]["changed"] == ["manager_id"]
    assert rows_about(world.uuid("viewer")) == []
    require_sound()


def flat_uuid(path: str) -> str:
    return path.rpartition("/")[2]


def test_project_created_by_a_principal_that_is_deleted_in_between_is_handed_over(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    before_commit(lambda other: other("DELETE", path_of(world, "contributor")))
    made = world("POST", world.projects(), {"name": "Apollo"}, by="contributor")
    assert made.status == 201, "its transaction rests on no row of the principal"
    project = f"{world.projects()}/{made.body['id']}"
    require_sound()
    purge_all(template)
    assert managers(world, project) == [world.uuid("owner")]
    assert members(world, project) == {world.uuid("owner")}
    assert rows_about(world.uuid("contributor")) == []
    require_sound()


def test_heir_of_a_deleted_admin_is_another_one_and_a_member_that_is_there_is_promoted(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    """An admin that deletes itself is gone, and so are admins that are suspended."""
    for name in ("ada", "bob"):
        provision(world, template, name, tenant_role="admin")
    project = world.new_project(by="contributor")
    world.new_member(project, "owner", "viewer")
    world.new_member(project, "ada", "viewer")
    before_commit(lambda other: hand_over(other, project, "ada"))
    assert world("DELETE", path_of(world, "ada"), by="ada").status == 204
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    rows = rows_here()
    for at in (keys.principal(tenant, world.id("bob")), keys.listed_principal(tenant, world.id("bob"))):
        rows.change(at, status="suspended")
    rows.change(keys.admins(tenant), count=1)
    purge_all(template)
    assert managers(world, project) == [world.uuid("owner")]
    member = world("GET", f"{project}/members/{world.uuid('owner')}")
    assert member.body["role_id"] == world.role("manager")
    require_sound()


@pytest.mark.parametrize("ended", ["deleted", "suspended"])
@pytest.mark.parametrize(("seconds", "status"), [(LAST_CALL_AFTER - 0.1, 201), (LAST_CALL_AFTER, 503)])
def test_request_that_has_read_before_its_caller_is_ended_commits_in_time_or_not_at_all(
    world: World, before_commit: BeforeCommit, ended: str, seconds: float, status: int
) -> None:
    """No call to the table begins later than LAST_CALL_AFTER behind the beginning of a request, and none takes longer
    than its time-out: together 8.5 s."""
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    with unhurried() as passing:

        def end(other: World) -> Answer:
            passing.sleep(seconds)
            if ended == "deleted":
                return other("DELETE", path_of(world, "contributor"))
            rows = rows_here()
            rows.change(keys.principal(tenant, world.id("contributor")), status="suspended")
            return other("GET", "/v1/me")

        before_commit(end)
        assert world("POST", world.projects(), {"name": "Apollo"}, by="contributor").status == status
        assert world("GET", "/v1/me", by="contributor").status == 401, "from its next request on"
    assert len(world("GET", world.projects()).body["data"]) == (status == 201)


@pytest.mark.parametrize("change", ["add", "add to the team", "issue"])
def test_what_would_be_given_to_a_deleted_principal_is_refused(
    world: World, template: Template, before_commit: BeforeCommit, change: str
) -> None:
    """The deletion commits between the read of the change and its commit."""
    project = world.new_project()
    acme = world.dev["tenants"]["acme"]["tenant_id"]
    changes: dict[str, Callable[[], Any]] = {
        "add": lambda: (
            world(
                "POST", f"{project}/members", {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
            ).status
        ),
        "add to the team": lambda: world("POST", f"{flat_path(project)}/team", {"id": world.id("outsider")}).status,
        "issue": lambda: issue(template, acme, world.uuid("outsider")),
    }
    before_commit(lambda other: other("DELETE", path_of(world, "outsider")))
    assert changes[change]() in (422, 400, "Principal not found.")
    purge_all(template)
    assert members(world, project) == {world.uuid("owner")}
    assert rows_about(world.uuid("outsider")) == []
    require_sound()


def issue(template: Template, tenant: str, principal: str) -> str:
    request = {"tenant_id": tenant, "principal_id": principal, "credential": {"kind": "token"}, "request_token": "r-1"}
    with pytest.raises(FunctionFailed) as failed:
        call(template.functions["IssueCredential"], request)
    return str(failed.value).partition(": ")[2]


def test_caller_without_a_role_in_the_space_is_no_obstacle(world: World, template: Template) -> None:
    """A principal with no roles and no projects."""
    set_space_roles(world, "outsider", {})
    assert world("DELETE", path_of(world, "outsider")).status == 204
    purge_all(template)
    assert rows_about(world.uuid("outsider")) == []
    require_sound()
