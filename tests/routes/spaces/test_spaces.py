"""The tenant and its spaces: who sees which, how they are made and changed, and by what."""

from typing import Any

import pytest

from atrium.store import spaces
from tests.support.changes import event, require_published_form
from tests.support.client import A_MOMENT, A_UUID, Answer, World, every_page, flat_id, v1_id
from tests.support.place import GHOST
from tests.support.rows import narrowing, set_space_roles, set_status


def made(world: World, **fields: Any) -> Answer:
    answer = world("POST", "/v1/spaces", {"name": "Lab", **fields})
    assert answer.status == 201, answer
    return answer


def members(world: World, space: str) -> dict[str, str]:
    """The roles of a space's members, by principal."""
    return {each["principal_id"]: each["role_id"] for each in every_page(world, f"{space}/members")}


def told(world: World, space: str) -> list[tuple[str, str]]:
    """The type and the principal, if any, of all events of a space, the oldest first."""
    events = [each for each in every_page(world, "/v1/events") if each.get("space_id") == space.rpartition("/")[2]]
    return [(each["type"], each["resource"].get("principal_id", "")) for each in reversed(events)]


# ---------------------------------------------------------------- the tenant


def test_the_tenant_is_shown_to_everybody_and_changed_by_admins(world: World) -> None:
    id = world.dev["tenants"]["acme"]["tenant_id"]
    shown = world("GET", "/v1/tenant", by="outsider")
    assert shown.seen == (200, {"id": id, "name": "Acme", "created_at": A_MOMENT, "updated_at": A_MOMENT})
    refused = world("PATCH", "/v1/tenant", {"name": "Acme Corp"}, by="contributor")
    assert refused.seen == (403, {"detail": "You may not change this tenant."})
    stale = world("PATCH", "/v1/tenant", {"name": "Acme Corp"}, headers={"If-Match": '"v-9"'})
    assert stale.status == 412
    changed = world("PATCH", "/v1/tenant", {"name": " Acme Corp "}, headers={"If-Match": shown.headers["etag"]})
    assert changed.seen == (200, {**shown.body, "name": "Acme Corp", "updated_at": A_MOMENT})
    assert world("GET", "/v1/tenant", by="viewer").seen == changed.seen
    assert (changed.version, world("GET", "/v1/tenant").version) == (2, 2)
    found = event(world, "/v1/tenant")
    require_published_form(found)
    assert (found["type"], found["resource"], found["changed"]) == ("tenant.updated", changed.body, ["name"])
    empty = world("PATCH", "/v1/tenant", {})
    detail = {"loc": ["body"], "msg": "Give at least one field to change", "type": "missing"}
    assert empty.seen == (422, {"detail": [detail]})


def test_the_default_space_keeps_its_name_when_the_tenant_gets_another(world: World) -> None:
    assert world("PATCH", "/v1/tenant", {"name": "Acme Corp"}).status == 200
    assert world("GET", world.space()).body["name"] == "Acme"


# ---------------------------------------------------------------- making a space


def test_a_new_space_is_its_creators(world: World) -> None:
    answer = made(world, description="What may come of it.")
    space = f"/v1/spaces/{answer.body['id']}"
    assert answer.body == {
        "id": A_UUID,
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "name": "Lab",
        "description": "What may come of it.",
        "created_at": A_MOMENT,
        "updated_at": answer.body["created_at"],
    }
    assert answer.headers["location"] == f"http://api.test{space}"
    assert world("GET", space).seen == (200, answer.body)
    assert members(world, space) == {world.uuid("owner"): world.role("owner")}
    owner = ("space_member.added", world.uuid("owner"))
    assert told(world, space) == [("space.created", ""), owner]
    require_published_form(event(world, space))
    project = world("POST", f"{space}/projects", {"name": "Apollo"})
    assert project.status == 201
    (role,) = (each for each in world("GET", "/v1/me").body["spaces"] if each["space_id"] == answer.body["id"])
    assert (role["name"], role["role"], role["is_default"]) == ("Lab", "owner", False)


def test_a_new_space_is_that_of_the_owner_who_is_named_or_has_none(world: World) -> None:
    named = f"/v1/spaces/{made(world, owner_id=world.uuid('viewer')).body['id']}"
    assert members(world, named) == {world.uuid("viewer"): world.role("owner")}
    assert world("PATCH", named, {"name": "Mine"}, by="viewer").status == 200
    again = [{"name": "Lab", "owner_id": id} for id in (world.uuid("viewer"), world.uuid("viewer").upper())]
    assert [world("POST", "/v1/spaces", body, key="once").replayed for body in again] == [False, True]
    ownerless = f"/v1/spaces/{made(world, owner_id=None).body['id']}"
    assert members(world, ownerless) == {}
    assert told(world, ownerless) == [("space.created", "")]


def test_a_space_is_made_by_admins_for_active_principals_of_the_tenant(world: World) -> None:
    refused = world("POST", "/v1/spaces", {"name": "Lab"}, by="contributor")
    assert refused.seen == (403, {"detail": "You may not create or delete spaces."})
    unknown = {"loc": ["body", "owner_id"], "msg": "No such principal", "type": "unknown_principal"}
    for id in (v1_id(GHOST), world.uuid("owner", "globex")):
        answer = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": id})
        assert answer.seen == (422, {"detail": [unknown]})
    set_status(world, "viewer", "suspended")
    answer = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": world.uuid("viewer")})
    assert answer.seen == (409, {"detail": "The principal is suspended."})
    assert len(world("GET", "/v1/spaces").body["data"]) == 2


def test_a_principal_has_a_role_in_a_hundred_spaces_at_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spaces.MAX_SPACES == 100
    monkeypatch.setattr(spaces, "MAX_SPACES", 3)
    made(world)
    told = {"detail": "A principal may have a role in at most 3 spaces."}
    answer = world("POST", "/v1/spaces", {"name": "Lab"})
    assert (answer.seen, answer.headers["x-error-code"]) == ((409, told), "too_many_spaces")
    space = f"/v1/spaces/{made(world, owner_id=None).body['id']}"
    mine = {"principal_id": world.uuid("owner"), "role_id": world.role("owner")}
    assert world("POST", f"{space}/members", mine).seen == (409, told)
    assert members(world, space) == {}


# ---------------------------------------------------------------- the list, and changes


def test_an_admin_lists_all_spaces_of_its_tenant_and_others_their_own(world: World) -> None:
    lab = made(world, owner_id=None).body
    own = set(world.dev["tenants"]["acme"]["spaces"].values())
    for by, ids in (("owner", own | {lab["id"]}), ("viewer", own), ("outsider", set[str]())):
        listed = world("GET", "/v1/spaces", by=by).body
        assert {each["id"] for each in listed["data"]} == ids, by
        assert [each["id"] for each in listed["data"]] == sorted(ids)
        pages = [each["id"] for each in every_page(lambda *sent, by=by: world(*sent, by=by), "/v1/spaces", limit=1)]
        assert pages == sorted(ids), by
    assert lab in world("GET", "/v1/spaces").body["data"]
    assert world("GET", f"/v1/spaces/{lab['id']}", by="viewer").status == 403


def test_a_narrowed_credential_sees_and_changes_the_spaces_it_is_narrowed_to(world: World) -> None:
    ids = world.dev["tenants"]["acme"]["spaces"]
    research, default = (f"/v1/spaces/{ids[name]}" for name in ("research", "default"))
    narrowed = {
        "detail": "Your credential is narrowed and does not permit this, though you may do it with one that does."
    }
    with narrowing(world, "owner", spaces=[flat_id(ids["research"])]):
        assert [each["id"] for each in world("GET", "/v1/spaces").body["data"]] == [ids["research"]]
        assert world("PATCH", research, {"name": "Lab"}).status == 200
        assert world("GET", default).seen == (403, narrowed)
        assert world("GET", f"{default}/members").seen == (403, narrowed)
        assert world("POST", "/v1/spaces", {"name": "Lab"}).seen == (403, narrowed)
        assert world("PATCH", "/v1/tenant", {"name": "B"}).seen == (403, narrowed)
        assert world("GET", "/v1/tenant").status == 200
    with narrowing(world, "owner", projects=[flat_id(world.new_project().rpartition("/")[2])]):
        assert world("GET", "/v1/spaces").body["data"] == []
        assert world("GET", research).seen == (403, narrowed)
    with narrowing(world, "owner", permissions=["project:read", "space:manage", "space:create"]):
        assert len(world("GET", "/v1/spaces").body["data"]) == 2
        assert world("POST", "/v1/spaces", {"name": "Lab", "owner_id": None}).status == 201
        assert world("PATCH", default, {"name": "Lab"}).status == 200
        above = {"detail": "You may not grant a role above your own."}
        member = f"{default}/members/{world.uuid('viewer')}"
        for role in ("viewer", "contributor", "owner"):
            assert world("PATCH", member, {"role_id": world.role(role)}).seen == (403, above), role
    with narrowing(world, "viewer", permissions=["member:read"]):
        assert world("GET", "/v1/spaces", by="viewer").body["data"] == []


def test_an_admin_without_a_role_may_change_every_space(world: World) -> None:
    set_space_roles(world, "contributor", {})
    space = f"/v1/spaces/{made(world, owner_id=None).body['id']}"
    assert world("PATCH", space, {"name": "B"}, by="contributor").status == 403
    assert world("PATCH", space, {"name": "B"}).status == 200


def test_a_space_is_changed_by_its_owners_at_the_version_they_saw(world: World) -> None:
    space = f"/v1/spaces/{made(world, owner_id=world.uuid('viewer')).body['id']}"
    first = world("GET", space, by="viewer")
    added = {"principal_id": world.uuid("contributor"), "role_id": world.role("manager")}
    assert world("POST", f"{space}/members", added, by="viewer").status == 201
    assert world("GET", space).headers["etag"] == first.headers["etag"], "members are no part of it"
    refused = world("PATCH", space, {"name": "B"}, by="contributor")
    assert refused.seen == (403, {"detail": "You may not change this space."})
    match = {"If-Match": first.headers["etag"]}
    changed = world("PATCH", space, {"description": "C"}, by="viewer", headers=match)
    assert changed.seen == (200, {**first.body, "description": "C", "updated_at": A_MOMENT})
    assert world("PATCH", space, {"name": "B"}, by="viewer", headers=match).status == 412
    assert world("PATCH", space, {"name": "B", "description": "C"}, by="viewer").body["name"] == "B"
    found = event(world, space)
    require_published_form(found)
    assert (found["type"], found["changed"], found["sequence"]) == ("space.updated", ["name"], 5)
    assert world("GET", space).seen == (200, found["resource"])
