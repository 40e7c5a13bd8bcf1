"""The routes of credentials: whole answers, one after the other."""

from typing import Any

import pytest

from atrium.store.engine.table import table
from atrium.store.fsck.check import Check
from tests.support.client import A_MOMENT, A_UUID, World, v1_id
from tests.support.credentials import asked, in_days, made, of

NOBODY = v1_id("64a1f2c3b4e5d6f7a8b9c0d1")


def mine(world: World, name: str = "owner") -> Any:
    return world("GET", "/v1/me", by=name).body["credential"]


def test_issued_credential_is_answered_whole_with_its_secret_once(world: World) -> None:
    path = of(world, "owner")
    new = {"kind": "api_key", "name": " CI ", "permissions": ["record:write", "project:read"]}
    answer = world("POST", path, new, key="k")
    expected = {
        "id": A_UUID,
        "kind": "api_key",
        "name": "CI",
        "hint": answer.body["secret"][-4:],
        "permissions": ["project:read", "record:write"],
        "space_ids": None,
        "project_ids": None,
        "enrol": False,
        "issued_by": {"principal_id": world.uuid("owner"), "credential_id": mine(world)["id"]},
        "created_at": A_MOMENT,
        "expires_at": None,
        "last_used_at": None,
        "status": "active",
        "secret": answer.body["secret"],
    }
    assert answer.seen == (201, expected)
    assert answer.body["secret"].startswith("atr_key_")
    assert list(answer.body) == list(expected)
    assert answer.headers["location"].endswith(f"{path}/{answer.body['id']}")
    assert answer.headers["etag"] == '"v-1"'
    again = world("POST", path, new, key="k")
    assert again.replayed
    assert again.seen == (201, {**answer.body, "secret": None})
    shown = {name: value for name, value in answer.body.items() if name != "secret"}
    got = world("GET", f"{path}/{answer.body['id']}")
    assert (got.seen, got.headers["etag"]) == ((200, shown), '"v-1"')
    assert shown in world("GET", path).body["data"]
    assert Check(table()).run()["clean"]


def test_event_names_the_credential_that_was_sent_and_what_issued_it(world: World) -> None:
    """A key that an admin made for a service, and the same one after its rotation."""
    issuer = {"principal_id": world.uuid("owner"), "credential_id": mine(world)["id"]}
    robot = world("POST", "/v1/principals", {"kind": "service", "name": "Robot"}).body["id"]
    keys = f"/v1/principals/{robot}/credentials"
    one = world("POST", keys, {"kind": "api_key", "name": "CI"}).body
    members = f"/v1/spaces/{world.dev['tenants']['acme']['spaces']['default']}/members"
    assert world("POST", members, {"principal_id": robot, "role_id": world.role("manager")}).status == 201
    actor = {"principal_id": robot, "kind": "service", "credential_id": one["id"], "issued_by": issuer}
    turned = asked(world, one["secret"], "POST", f"{keys}/{one['id']}/rotate", {}).body["secret"]
    for secret in (one["secret"], turned):
        project = asked(world, secret, "POST", world.projects(), {"name": "A"}).body["id"]
        (created,) = world("GET", f"/v1/events?project_id={project}").body["data"]
        assert created["actor"] == actor
        assert world("GET", f"/v1/events/{created['id']}").body["actor"] == actor
    (made_it,) = world("GET", "/v1/events?type=credential.created&limit=1").body["data"]
    assert (made_it["resource"]["id"], made_it["actor"]["issued_by"]) == (one["id"], None)


def test_me_shows_the_credential_in_use_and_the_spaces_that_it_may_read(world: World) -> None:
    spaces = world.dev["tenants"]["acme"]["spaces"]
    demo = mine(world)
    assert demo == {
        "id": A_UUID,
        "kind": "token",
        "name": None,
        "permissions": None,
        "space_ids": None,
        "project_ids": None,
        "expires_at": None,
    }
    ends = in_days(3)
    narrowed = made(world, "owner", space_ids=[spaces["research"]], expires_at=ends)
    seen = asked(world, narrowed["secret"], "GET", "/v1/me").body
    assert [each["space_id"] for each in seen["spaces"]] == [spaces["research"]]
    assert seen["credential"] == {
        "id": narrowed["id"],
        "kind": "api_key",
        "name": "CI",
        "permissions": None,
        "space_ids": [spaces["research"]],
        "project_ids": None,
        "expires_at": ends,
    }
    listed = asked(world, narrowed["secret"], "GET", "/v1/spaces").body["data"]
    assert [each["id"] for each in listed] == [spaces["research"]]


def test_name_and_an_earlier_end_are_changed_and_a_later_one_is_refused(world: World) -> None:
    one = made(world, "owner", expires_at=in_days(3))
    shown = world("GET", one["path"]).body
    ends = in_days(1)
    changed = world("PATCH", one["path"], {"name": "B", "expires_at": ends}, headers={"If-Match": '"v-1"'})
    assert changed.seen == (200, {**shown, "name": "B", "expires_at": ends})
    assert changed.headers["etag"] == '"v-2"'
    same = world("PATCH", one["path"], {"name": "B", "expires_at": ends})
    assert (same.seen, same.headers["etag"]) == (changed.seen, '"v-2"'), "the same values change nothing"
    stale = world("PATCH", one["path"], {"name": "C"}, headers={"If-Match": '"v-1"'})
    assert stale.status == 412

    def fault(type: str, msg: str) -> Any:
        return (422, {"detail": [{"loc": ["body", "expires_at"], "msg": msg, "type": type}]})

    later = world("PATCH", one["path"], {"expires_at": in_days(2)})
    assert later.seen == fault("not_earlier", f"Must be before {ends}, when it ends now")
    assert world("PATCH", one["path"], {"expires_at": in_days(-1)}).seen == fault("past", "Must be to come")
    assert world("PATCH", one["path"], {"expires_at": None}).status == 422
    assert world("PATCH", one["path"], {}).status == 422
    assert world("GET", one["path"]).body == changed.body


def test_revoked_credential_stays_listed_and_cannot_be_changed(world: World) -> None:
    one = made(world, "owner")
    shown = world("GET", one["path"]).body
    assert world("DELETE", one["path"], headers={"If-Match": '"v-7"'}).status == 412
    assert world("DELETE", one["path"]).seen == (204, None)
    assert world("DELETE", one["path"]).seen == (204, None)
    assert world("GET", one["path"]).body == {**shown, "status": "revoked"}
    assert asked(world, one["secret"], "GET", "/v1/me").status == 401
    ended = (409, {"detail": "The credential has ended. Issue another one."})
    for method, path, body in (
        ("PATCH", one["path"], {"name": "B"}),
        ("POST", f"{one['path']}/rotate", {}),
    ):
        refused = world(method, path, body)
        assert (refused.seen, refused.headers["x-error-code"]) == (ended, "credential_ended")
    assert Check(table()).run()["clean"]


def test_rotation_keeps_the_end_and_leaves_both_secrets(world: World) -> None:
    ends = in_days(3)
    one = made(world, "owner", expires_at=ends)
    assert asked(world, one["secret"], "GET", "/v1/me").status == 200
    answer = world("POST", f"{one['path']}/rotate", {"overlap_seconds": 600}, key="r")
    secret = answer.body["secret"]
    shown = {name: value for name, value in one.items() if name not in ("path", "secret", "hint")}
    assert answer.seen == (
        200,
        {**shown, "hint": secret[-4:], "secret": secret, "previous_expires_at": answer.body["previous_expires_at"]},
    )
    assert in_days(0) < answer.body["previous_expires_at"] <= in_days(600 / 86_400)
    assert answer.headers["etag"] == '"v-2"'
    again = world("POST", f"{one['path']}/rotate", {"overlap_seconds": 600}, key="r")
    assert (again.seen, again.replayed) == ((200, {**answer.body, "secret": None}), True)
    # The answer was lost: the older secret rotates again.
    third = asked(world, one["secret"], "POST", f"{one['path']}/rotate", {}).body
    assert third["previous_expires_at"] == answer.body["previous_expires_at"]
    assert [asked(world, each, "GET", "/v1/me").status for each in (one["secret"], secret, third["secret"])] == [
        200,
        401,
        200,
    ]
    refused = asked(world, one["secret"], "POST", f"{one['path']}/rotate", {})
    assert (refused.status, refused.headers["x-error-code"]) == (409, "rotated_already")
    assert asked(world, third["secret"], "GET", "/v1/me").body["credential"]["expires_at"] == ends
    assert Check(table()).run()["clean"]


@pytest.mark.parametrize("secret", ["the newest", "the older"])
def test_secret_that_was_used_in_an_overlap_is_not_replaced(world: World, secret: str) -> None:
    one = made(world, "owner")
    rotated = world("POST", f"{one['path']}/rotate", {}).body
    assert asked(world, one["secret"] if secret == "the older" else rotated["secret"], "GET", "/v1/me").status == 200
    again = world("POST", f"{one['path']}/rotate", {})
    assert again.status == (200 if secret == "the older" else 409)
    assert asked(world, one["secret"], "GET", "/v1/me").status == 200


def test_fifty_live_credentials_are_the_most(world: World) -> None:
    path, new = of(world, "viewer"), {"kind": "token", "name": "T"}
    few = [made(world, "viewer", by="viewer") for _ in range(2)]
    while (answer := world("POST", path, new, by="viewer")).status == 201:
        pass
    assert answer.headers["x-error-code"] == "too_many_credentials"
    assert answer.seen == (
        409,
        {"detail": "A principal has at most 50 credentials that have not ended. Revoke one first."},
    )
    pages, cursor = [], ""
    while cursor is not None:
        page = world("GET", f"{path}?limit=30{cursor}", by="viewer").body
        pages += [each["status"] for each in page["data"]]
        cursor = page["meta"]["next_cursor"] and f"&cursor={page['meta']['next_cursor']}"
    assert pages == ["active"] * 50
    assert world("DELETE", few[0]["path"], by="viewer").status == 204
    assert world("POST", path, new, by="viewer").status == 201


def test_others_credentials_are_for_admins_whether_they_exist_or_not(world: World) -> None:
    refused = (403, {"detail": "You may not manage the credentials of other principals."})
    for holder in (world.uuid("viewer"), NOBODY):
        path = f"/v1/principals/{holder}/credentials"
        for method, place, body in (
            ("GET", path, None),
            ("POST", path, {"kind": "token", "name": "T"}),
            ("GET", f"{path}/{NOBODY}", None),
            ("PATCH", f"{path}/{NOBODY}", {"name": "B"}),
            ("DELETE", f"{path}/{NOBODY}", None),
            ("POST", f"{path}/{NOBODY}/rotate", {}),
        ):
            answer = world(method, place, body, by="contributor")
            assert (answer.seen, answer.headers["x-error-code"]) == (refused, "credential_manage_required")
            stranger = world(method, place, body, tenant="globex")
            assert stranger.seen == (404, {"detail": "Principal not found."})
    absent = (404, {"detail": "Credential not found."})
    assert world("GET", of(world, "viewer", NOBODY)).seen == absent
    assert world("GET", of(world, "viewer", mine(world)["id"])).seen == absent, "of another principal"
