"""The issuer of a credential gives no more than it has: by width, by time, and to whom."""

import itertools
import time
from types import SimpleNamespace
from typing import Any

import pytest

from atrium import keys
from atrium.api import authorizer
from atrium.store import credentials as store_credentials
from atrium.store.engine.table import table
from atrium.store.fsck.check import Check
from local.issuer import Issuer
from tests.support.client import A_MOMENT, Answer, World
from tests.support.credentials import NARROWED, asked, in_days, made, of, refusal
from tests.support.world import Count


@pytest.fixture
def world(staffed: World) -> World:
    return staffed


ENROLMENT = (403, "enrolment_required")
ONLY_ENROLS = (403, "enrolment_only")


# ---------------------------------------------------------------- at most as wide, and no later


def test_what_is_wider_than_the_issuing_credential_is_refused_by_field(world: World) -> None:
    spaces = world.dev["tenants"]["acme"]["spaces"]
    project = world.new_project().rpartition("/")[2]
    own: dict[str, Any] = {
        "permissions": ["project:read", "record:write"],
        "space_ids": [spaces["default"]],
        "project_ids": [project],
    }
    narrow = made(world, "owner", **own)["secret"]
    path = of(world, "owner")
    wider: dict[str, list[Any]] = {
        "permissions": [None, ["member:manage"], ["project:read", "project:update"]],
        "space_ids": [None, [spaces["research"]], list(spaces.values())],
        "project_ids": [None, [spaces["default"]], [project, spaces["default"]]],
    }
    message = "Your own credential is narrowed: give values, each of which is among its own"
    for field, values in wider.items():
        for value in values:
            new = {"kind": "token", "name": "T", **own, field: value}
            detail = {"loc": ["body", field], "msg": message, "type": "beyond_issuer"}
            assert asked(world, narrow, "POST", path, new).seen == (422, {"detail": [detail]}), (field, value)
    same = asked(world, narrow, "POST", path, {"kind": "token", "name": "T", **own})
    assert (same.status, {name: same.body[name] for name in own}) == (201, own)


def test_no_credential_ends_later_than_the_one_that_issued_it(world: World) -> None:
    ends = in_days(2)
    brief = made(world, "owner", expires_at=ends)["secret"]
    path = of(world, "owner")
    detail = {
        "loc": ["body", "expires_at"],
        "msg": f"Your own credential ends at {ends}: give an end that is no later",
        "type": "beyond_issuer",
    }
    for later in ({}, {"expires_at": None}, {"expires_at": in_days(3)}):
        assert asked(world, brief, "POST", path, {"kind": "token", "name": "T", **later}).seen == (
            422,
            {"detail": [detail]},
        )
    assert asked(world, brief, "POST", path, {"kind": "token", "name": "T", "expires_at": ends}).status == 201
    past = asked(world, brief, "POST", path, {"kind": "token", "name": "T", "expires_at": in_days(-1)})
    assert past.body == {"detail": [{"loc": ["body", "expires_at"], "msg": "Must be to come", "type": "past"}]}


def test_narrower_credential_neither_sees_nor_touches_a_wider_one_of_its_principal(world: World) -> None:
    wide = made(world, "person", by="person")
    brief = made(world, "person", by="person", permissions=["project:read"], expires_at=in_days(1))
    narrow = made(world, "person", by="person", permissions=["project:read", "record:write"])
    for method, path, body in (
        ("GET", wide["path"], None),
        ("PATCH", wide["path"], {"name": "B"}),
        ("DELETE", wide["path"], None),
        ("POST", f"{wide['path']}/rotate", {}),
    ):
        assert refusal(asked(world, narrow["secret"], method, path, body)) == NARROWED, method
    listed = asked(world, narrow["secret"], "GET", of(world, "person")).body["data"]
    assert {each["id"] for each in listed} == {brief["id"], narrow["id"]}
    # The narrow one sees one that ends later, but does not get its secret.
    assert asked(world, brief["secret"], "POST", f"{narrow['path']}/rotate", {}).status == 403
    assert asked(world, narrow["secret"], "POST", f"{brief['path']}/rotate", {}).status == 200
    assert asked(world, narrow["secret"], "POST", f"{narrow['path']}/rotate", {}).status == 200
    assert asked(world, narrow["secret"], "DELETE", brief["path"]).status == 204
    key = asked(world, wide["secret"], "PATCH", narrow["path"], {"name": "Known"}, headers={"Idempotency-Key": "k"})
    replay = asked(world, wide["secret"], "PATCH", narrow["path"], {"name": "Known"}, headers={"Idempotency-Key": "k"})
    assert (key.status, replay.replayed) == (200, True)


def test_answer_of_a_wider_credential_is_not_replayed_to_a_narrower_one(world: World) -> None:
    narrow = made(world, "person", by="person", permissions=["project:read"])["secret"]
    path, new = of(world, "person"), {"kind": "token", "name": "Wide"}
    first = world("POST", path, new, by="person", key="k")
    again = asked(world, narrow, "POST", path, new, headers={"Idempotency-Key": "k"})
    assert (first.status, again.status, again.replayed) == (201, 422, False)


# ---------------------------------------------------------------- issuers, holders and kinds


ISSUERS = ("owner", "admin", "robot admin", "person", "robot")
HOLDERS = ("owner", "admin", "robot admin", "person", "robot")
ADMINS = ("owner", "admin", "robot admin")
SERVICES = ("robot", "robot admin")


@pytest.mark.parametrize("issuer_name", ISSUERS)
def test_no_admin_gets_a_credential_with_which_it_could_act_as_another_person(
    world: World, issuer: Issuer, count: Count, issuer_name: str
) -> None:
    """Each issuer, holder and kind, whole or to enrol, and the rotation and revocation of what the holder has."""
    wrong: dict[Any, Any] = {}
    for holder, kind, enrol in itertools.product(HOLDERS, ("token", "api_key", "identity"), (False, True)):
        new: dict[str, Any] = {"kind": kind, "name": "N"}
        new |= {"token": issuer.token(f"{issuer_name}-{holder}")} if kind == "identity" else {}
        new |= {"enrol": True} if enrol else {}
        expected = (422, "invalid_request") if kind == "identity" and enrol else may(issuer_name, holder, enrol=enrol)
        answer = world("POST", of(world, holder), new, by=issuer_name)
        if refusal(answer) != expected:
            wrong[holder, kind, enrol] = refusal(answer)
        if answer.status == 201 and holder != issuer_name and holder not in SERVICES:
            require_enrolment(world, holder, answer.body["secret"])
        count(cells=1)
    for holder in HOLDERS:
        own = world("GET", "/v1/me", by=holder).body["credential"]["id"]
        answer = world("POST", of(world, holder, own, "rotate"), {}, by=issuer_name)
        expected = may(issuer_name, holder)
        if refusal(answer) != ((200, "") if expected == (201, "") else expected):
            wrong[holder, "rotate"] = refusal(answer)
        count(cells=1)
    assert wrong == {}


def may(issuer: str, holder: str, *, enrol: bool = False) -> tuple[int, str]:
    """The answer to one who would have a secret of the holder's."""
    if issuer == holder:
        return 201, ""
    if issuer not in ADMINS:
        return 403, "credential_manage_required"
    return (201, "") if enrol or holder in SERVICES else ENROLMENT


def require_enrolment(world: World, holder: str, secret: str) -> None:
    """Besides who it is, a credential that enrols a person is told nothing."""
    me = asked(world, secret, "GET", "/v1/me")
    assert (me.status, me.body["principal_id"], me.body["spaces"]) == (200, world.uuid(holder), [])
    for path in ("/v1/roles", "/v1/spaces", "/projects", of(world, holder), world.projects()):
        assert refusal(asked(world, secret, "GET", path)) == ONLY_ENROLS, path


def test_person_that_is_enrolled_makes_its_credential_whole_by_rotation(world: World) -> None:
    path = of(world, "person")
    answer = world("POST", path, {"kind": "token", "name": "Laptop", "enrol": True}, by="admin")
    one = answer.body
    assert (one["enrol"], one["permissions"], one["status"]) == (True, None, "active")
    assert in_days(6.99) < one["expires_at"] <= in_days(7)
    late = {"kind": "token", "name": "Laptop", "enrol": True, "expires_at": in_days(8)}
    refused = world("POST", path, late, by="admin")
    assert refused.body["detail"][0]["type"] == "beyond_enrolment"
    assert asked(world, one["secret"], "GET", "/v1/me").body["credential"]["permissions"] == []
    other = world("GET", "/v1/me", by="person").body["credential"]["id"]
    assert refusal(asked(world, one["secret"], "POST", f"{path}/{other}/rotate", {})) == NARROWED
    rotated = asked(world, one["secret"], "POST", f"{path}/{one['id']}/rotate", {}).body
    assert (rotated["enrol"], rotated["expires_at"], rotated["previous_expires_at"]) == (False, None, A_MOMENT)
    assert asked(world, rotated["secret"], "GET", "/projects").status == 200
    assert asked(world, rotated["secret"], "GET", "/v1/me").body["credential"]["permissions"] is None
    # A thief of the first secret neither reads with it nor gets another one.
    assert refusal(asked(world, one["secret"], "GET", "/projects")) == ONLY_ENROLS
    assert refusal(asked(world, one["secret"], "POST", f"{path}/{one['id']}/rotate", {})) == (409, "enrolled_already")
    assert Check(table()).run()["clean"]


def test_enrolment_by_a_narrowed_and_ending_credential_gives_no_more_than_that(world: World) -> None:
    ends = in_days(30)
    narrow = made(world, "admin", by="admin", permissions=["credential:manage", "project:read"], expires_at=ends)
    new = {"kind": "token", "name": "Laptop", "enrol": True, "permissions": ["project:read"]}
    path = of(world, "person")
    one = asked(world, narrow["secret"], "POST", path, new).body
    rotated = asked(world, one["secret"], "POST", f"{path}/{one['id']}/rotate", {}).body
    assert (rotated["permissions"], rotated["expires_at"]) == (["project:read"], ends)


def test_older_secret_that_enrols_is_no_damage_beside_a_narrowed_whole_one(world: World) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    for narrowed in ({"space_ids": [space]}, {"permissions": ["project:read"]}, {"project_ids": [space]}):
        one = made(world, "person", by="admin", enrol=True, **narrowed)
        assert asked(world, one["secret"], "POST", f"{one['path']}/rotate", {}).status == 200
    assert Check(table()).run()["clean"]


# ---------------------------------------------------------------- identities


def test_identity_is_registered_with_its_token_only_and_freed_by_revocation(world: World, issuer: Issuer) -> None:
    path = of(world, "robot")
    fault = {
        "loc": ["body", "token"],
        "msg": "Must be a valid access token of the identity",
        "type": "access_token",
    }
    now = int(time.time())
    ended = issuer.token("bot", iat=now - 600, exp=now - 60)
    for token in ("x", ended, issuer.token("bot", iss="https://other.example"), issuer.token("bot")[:-4] + "AAAA"):
        wrong = {"kind": "identity", "name": "I", "token": token}
        assert world("POST", path, wrong, by="admin").seen == (422, {"detail": [fault]})
    assert world("POST", path, {"kind": "identity", "name": "I"}, by="admin").status == 422
    assert world("POST", path, {"kind": "token", "name": "I", "token": "x"}, by="admin").status == 422
    token = issuer.token("bot")
    new: dict[str, Any] = {"kind": "identity", "name": "I", "token": token, "permissions": ["project:read"]}
    one = world("POST", path, new, by="admin")
    assert (one.status, one.body["secret"], one.body["hint"]) == (201, None, None)

    def by_token(method: str, path: str, body: Any = None) -> Answer:
        sent = {"Authorization": f"Bearer {token}"}
        return world(method, path, *([] if body is None else [body]), by=None, headers=sent)

    assert by_token("GET", "/v1/me").body["credential"]["id"] == one.body["id"]
    assert refusal(by_token("POST", world.projects(), {"name": "A"})) == NARROWED
    taken = world("POST", of(world, "robot admin"), new, by="robot admin")
    assert (taken.seen, refusal(taken)) == (
        (409, {"detail": "The identity is registered already."}),
        (409, "identity_registered"),
    )
    assert refusal(world("POST", f"{path}/{one.body['id']}/rotate", {}, by="admin")) == (409, "nothing_to_rotate")
    assert world("DELETE", f"{path}/{one.body['id']}", by="admin").status == 204
    again = world("POST", of(world, "robot admin"), new, by="robot admin")
    assert again.status == 201
    assert world("GET", f"{path}/{one.body['id']}", by="admin").body["status"] == "revoked"
    assert Check(table()).run()["clean"]


# ---------------------------------------------------------------- revoking


def test_revocation_with_issued_ends_all_that_it_made_and_they_made(world: World) -> None:
    root = made(world, "admin", by="admin")
    child = made(world, "robot", root["secret"])
    grandchild = made(world, "robot", child["secret"])
    person = made(world, "person", root["secret"], enrol=True)
    other = made(world, "robot", by="admin")
    secrets = [each["secret"] for each in (root, child, grandchild, person, other)]

    def good() -> list[bool]:
        authorizer.credentials.cache_clear()
        return [asked(world, each, "GET", "/v1/me").status == 200 for each in secrets]

    assert world("DELETE", child["path"], by="admin").status == 204
    assert world("GET", grandchild["path"], by="admin").body["status"] == "active", "without issued it stays"
    assert world("DELETE", f"{root['path']}?issued=true", by="admin").status == 204
    assert good() == [False, False, False, False, True]
    assert world("DELETE", f"{root['path']}?issued=true", by="admin").status == 204
    assert Check(table()).run()["clean"]


def test_revocation_with_more_issued_than_one_transaction_holds_is_refused_whole(world: World) -> None:
    root = made(world, "admin", by="admin")
    some = [made(world, "robot", root["secret"]) for _ in range(16)]
    refused = world("DELETE", f"{root['path']}?issued=true", by="admin")
    assert (refused.seen, refusal(refused)) == (
        (409, {"detail": "It made more than 15 credentials. Revoke some first, with what they made."}),
        (409, "too_many_issued"),
    )
    assert world("GET", root["path"], by="admin").body["status"] == "active"
    assert world("DELETE", some[0]["path"], by="admin").status == 204
    assert world("DELETE", f"{root['path']}?issued=true", by="admin").status == 204
    assert {world("GET", each["path"], by="admin").body["status"] for each in some} == {"revoked"}


def test_revoked_credential_ends_within_30_seconds_in_the_worst_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process looks it up right before the revocation, and lets a request in as late as it may."""
    one = made(world, "person", by="person")
    now = [1_000.0]
    monkeypatch.setattr(store_credentials, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert asked(world, one["secret"], "GET", "/v1/me").status == 200
    assert world("DELETE", one["path"], by="person").status == 204
    seen = []
    for seconds in (0.0, 19.999, 20.0, 30.0):
        now[0] = 1_000.0 + seconds
        seen.append(asked(world, one["secret"], "GET", "/v1/me").status)
    assert seen == [200, 200, 401, 401]
    # A request that was let in last ends within 8.5 s (tests/platform/test_limits.py): 28.5 s in all.
    refused = made(world, "person", by="person")
    now[0] += 100
    assert asked(world, refused["secret"], "GET", "/v1/me").status == 200
    assert world("DELETE", refused["path"], by="person").status == 204
    issues = asked(world, refused["secret"], "POST", of(world, "person"), {"kind": "token", "name": "T"})
    assert refusal(issues) == (409, "credential_ended"), "it issues none, even while it is let in"


# ---------------------------------------------------------------- secrets


def test_no_secret_or_token_is_in_the_table_the_ledger_a_replay_or_a_log(
    world: World, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The whole table is searched after each kind was made, rotated, changed and revoked, with keys."""
    path = of(world, "robot")
    token = issuer.token("no-one-else")
    kinds: list[dict[str, Any]] = [
        {"kind": "token", "name": "T"},
        {"kind": "api_key", "name": "A", "permissions": ["project:read"]},
        {"kind": "token", "name": "E", "enrol": True},
        {"kind": "identity", "name": "I", "token": token},
    ]
    secrets, told = [], []
    for number, new in enumerate(kinds):
        first = world("POST", path, new, by="admin", key=f"make-{number}")
        again = world("POST", path, new, by="admin", key=f"make-{number}")
        assert (first.status, again.body) == (201, {**first.body, "secret": None})
        one = f"{path}/{first.body['id']}"
        rotated = world("POST", f"{one}/rotate", {}, by="admin", key=f"turn-{number}")
        again = world("POST", f"{one}/rotate", {}, by="admin", key=f"turn-{number}")
        assert again.body == (rotated.body if new["kind"] == "identity" else {**rotated.body, "secret": None})
        secrets += [each for each in (first.body["secret"], rotated.body.get("secret")) if each]
        told += [world("GET", one, by="admin"), world("PATCH", one, {"name": "B"}, by="admin", key=f"name-{number}")]
        told += [again, *([world("DELETE", one, by="admin", key=f"end-{number}")] if number else [])]
    assert len(set(secrets)) == 6
    told += [world("GET", path, by="admin"), world("GET", "/v1/events?limit=100", by="admin")]
    assert world.table is not None
    rows = world.table.items()
    searched = {named.kind for key in rows if (named := keys.named(key))}
    assert {"credential", "principal_credential", "issued", "replay", "event", "principal"} <= searched
    logs = capfd.readouterr()
    texts = [str(rows), logs.out, logs.err, *(answer.content.decode() for answer in told)]
    for secret in [*secrets, token, token.rpartition(".")[2]]:
        assert not [text for text in texts if secret in text], "a secret"
    assert "Answered" in logs.out
