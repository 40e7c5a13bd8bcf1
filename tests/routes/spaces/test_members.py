"""The members of a space: who changes them, the last owner, and principals named by their e-mail address."""

from typing import Any

import pytest

from tests.support.changes import event, require_published_form
from tests.support.client import A_MOMENT, Answer, World, every_page, v1_id
from tests.support.place import GHOST
from tests.support.rows import set_status


@pytest.fixture
def space(world: World) -> str:
    """The path of a space that the viewer owns, with the contributor as a manager."""
    made = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": world.uuid("viewer")})
    path = f"/v1/spaces/{made.body['id']}"
    assert add(world, path, "contributor", "manager").status == 201
    return path


def add(world: World, space: str, name: str, role: str, **options: Any) -> Answer:
    body = {"principal_id": world.uuid(name), "role_id": world.role(role)}
    return world("POST", f"{space}/members", body, **options)


def give(world: World, space: str, name: str, role: str, **options: Any) -> Answer:
    return world("PATCH", f"{space}/members/{world.uuid(name)}", {"role_id": world.role(role)}, **options)


def roles(world: World, space: str) -> dict[str, str]:
    """The roles of a space's members, by their names."""
    names = {world.uuid(name): name for name in world.dev["tenants"]["acme"]["principals"]}
    keys = {id: key for key, id in world.dev["roles"].items()}
    return {names[each["principal_id"]]: keys[each["role_id"]] for each in every_page(world, f"{space}/members")}


LAST = {"detail": "This is the last owner of the space. Make another member an owner first."}


def test_a_member_is_added_shown_changed_and_removed(world: World, space: str) -> None:
    answer = add(world, space, "outsider", "viewer", by="viewer")
    member = f"{space}/members/{world.uuid('outsider')}"
    assert answer.body == {
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "space_id": space.rpartition("/")[2],
        "principal_id": world.uuid("outsider"),
        "role_id": world.role("viewer"),
        "created_at": A_MOMENT,
        "updated_at": answer.body["created_at"],
    }
    assert (answer.status, answer.headers["location"]) == (201, f"http://api.test{member}")
    found = event(world, space)
    require_published_form(found)
    assert (found["type"], found["resource"]) == ("space_member.added", answer.body)
    shown = world("GET", member, by="outsider")
    assert (shown.seen, shown.headers["etag"]) == ((200, answer.body), answer.headers["etag"])
    assert world("GET", f"{space}/projects", by="outsider").status == 200
    changed = give(world, space, "outsider", "contributor", by="viewer", headers={"If-Match": shown.headers["etag"]})
    assert changed.seen == (200, {**shown.body, "role_id": world.role("contributor"), "updated_at": A_MOMENT})
    found = event(world, space)
    require_published_form(found)
    assert (found["type"], found["changed"]) == ("space_member.role_changed", ["role_id"])
    assert world("POST", f"{space}/projects", {"name": "Apollo"}, by="outsider").status == 201
    assert world("DELETE", member, by="viewer", headers={"If-Match": shown.headers["etag"]}).status == 412
    removed = world("DELETE", member, by="viewer", headers={"If-Match": changed.headers["etag"]})
    assert (removed.status, removed.content) == (204, b"")
    found = event(world, space)
    require_published_form(found)
    assert (found["type"], found["resource"]) == ("space_member.removed", changed.body)
    assert world("GET", member).seen == (404, {"detail": "Member not found."})
    assert world("GET", f"{space}/members", by="outsider").status == 403
    again = add(world, space, "outsider", "viewer", by="viewer")
    assert again.headers["etag"] != answer.headers["etag"], "another membership"


def test_members_are_listed_by_principal_in_pages(world: World, space: str) -> None:
    ids = sorted((world.uuid("viewer"), world.uuid("contributor")))
    page = world("GET", f"{space}/members?limit=1", by="contributor").body
    assert [each["principal_id"] for each in page["data"]] == ids[:1]
    rest = world("GET", f"{space}/members?cursor={page['meta']['next_cursor']}", by="contributor").body
    assert [each["principal_id"] for each in rest["data"]] == ids[1:]
    assert rest["meta"] == {"has_more": False, "next_cursor": None}
    refused = (403, {"detail": "You do not have access to this space."})
    assert world("GET", f"{space}/members", by="outsider").seen == refused
    assert world("GET", f"{space}/members/{ids[0]}", by="outsider").seen == refused


def test_members_are_managed_by_owners(world: World, space: str) -> None:
    refused = (403, {"detail": "You may not change this space."})
    assert add(world, space, "outsider", "viewer", by="contributor").seen == refused
    assert give(world, space, "contributor", "viewer", by="contributor").seen == refused
    assert world("DELETE", f"{space}/members/{world.uuid('viewer')}", by="contributor").seen == refused
    assert roles(world, space) == {"viewer": "owner", "contributor": "manager"}


def test_who_cannot_be_added_is_refused(world: World, space: str) -> None:
    twice = add(world, space, "contributor", "viewer")
    assert twice.seen == (409, {"detail": "The principal is a member of the space already."})
    role = {"loc": ["body", "role_id"], "msg": "No such role. See GET /v1/roles", "type": "unknown_role"}
    body = {"principal_id": world.uuid("outsider"), "role_id": v1_id(GHOST)}
    assert world("POST", f"{space}/members", body).seen == (422, {"detail": [role]})
    unknown = {"loc": ["body", "principal_id"], "msg": "No such principal", "type": "unknown_principal"}
    for id in (v1_id(GHOST), world.uuid("viewer", "globex")):
        body = {"principal_id": id, "role_id": world.role("viewer")}
        assert world("POST", f"{space}/members", body).seen == (422, {"detail": [unknown]})
    set_status(world, "outsider", "suspended")
    suspended = (409, {"detail": "The principal is suspended."})
    assert add(world, space, "outsider", "viewer").seen == suspended
    project = world.new_project()
    assert add(world, project, "outsider", "viewer").seen == suspended
    assert roles(world, space) == {"viewer": "owner", "contributor": "manager"}


def test_the_last_owner_stays_unless_an_admin_acts(world: World, space: str) -> None:
    member = f"{space}/members/{world.uuid('viewer')}"
    refused = give(world, space, "viewer", "manager", by="viewer")
    assert (refused.seen, refused.headers["x-error-code"]) == ((409, LAST), "last_owner")
    assert world("DELETE", member, by="viewer").seen == (409, LAST)
    assert give(world, space, "contributor", "owner", by="viewer").status == 200
    assert give(world, space, "viewer", "viewer", by="viewer").status == 200
    assert give(world, space, "contributor", "manager", by="contributor").seen == (409, LAST)
    assert world("DELETE", f"{space}/members/{world.uuid('contributor')}", by="owner").status == 204
    assert roles(world, space) == {"viewer": "viewer"}
    assert add(world, space, "outsider", "owner", by="owner").status == 201
    assert world("DELETE", f"{space}/members/{world.uuid('outsider')}", by="outsider").seen == (409, LAST)


def test_answer_to_an_owner_who_is_removed_since_is_not_repeated(world: World, space: str) -> None:
    """The answer shows a member, so a replay needs the right to read the space."""
    assert add(world, space, "outsider", "owner", by="viewer").status == 201
    first = give(world, space, "contributor", "viewer", by="outsider", key="once")
    assert give(world, space, "contributor", "viewer", by="outsider", key="once").replayed
    assert world("DELETE", f"{space}/members/{world.uuid('outsider')}", by="viewer").status == 204
    again = give(world, space, "contributor", "viewer", by="outsider", key="once")
    assert (first.status, again.seen) == (200, (403, {"detail": "You do not have access to this space."}))


# ---------------------------------------------------------------- by e-mail address


@pytest.mark.parametrize("place", ["space", "project"])
def test_a_member_is_named_by_its_email_address(world: World, space: str, place: str) -> None:
    path = space if place == "space" else world.new_project()
    role = {"role_id": world.role("viewer")}
    answer = world("POST", f"{path}/members", {"email": " Outsider@ACME.example", **role}, key="once")
    assert (answer.status, answer.body["principal_id"]) == (201, world.uuid("outsider"))
    assert answer.headers["location"] == f"http://api.test{path}/members/{world.uuid('outsider')}"
    assert world("POST", f"{path}/members", {"email": " Outsider@ACME.example", **role}, key="once").replayed
    assert world("POST", f"{path}/members", {"email": "outsider@acme.example", **role}).status == 409
    unknown = {"loc": ["body", "email"], "msg": "No such principal", "type": "unknown_principal"}
    for email in ("unknown@acme.example", "owner@globex.example", "", "é" * 254):
        assert world("POST", f"{path}/members", {"email": email, **role}).seen == (422, {"detail": [unknown]})
    either = {"loc": ["body"], "msg": "Give either principal_id or email", "type": "one_of"}
    both = {"email": "viewer@acme.example", "principal_id": world.uuid("viewer")}
    for sent in ({}, both):
        assert world("POST", f"{path}/members", {**sent, **role}).seen == (422, {"detail": [either]})
    too_long = world("POST", f"{path}/members", {"email": "x" * 255, **role})
    assert [each["loc"] for each in too_long.body["detail"]] == [["body", "email"]]
