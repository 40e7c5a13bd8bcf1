"""A request on a credential commits between the read and the commit of another: each pair in its harmful order."""

from typing import Any

from atrium.api import authorizer
from atrium.store.engine.table import table
from atrium.store.fsck.check import Check
from tests.support.client import Answer, World
from tests.support.credentials import asked, in_days, made, of
from tests.support.world import BeforeCommit

NEW = {"kind": "token", "name": "Child"}


def statuses(world: World, *paths: str) -> list[str]:
    assert Check(table()).run()["clean"]
    return [world("GET", path).body["status"] for path in paths]


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers["x-error-code"]


def good(world: World, *secrets: str) -> list[bool]:
    authorizer.credentials.cache_clear()
    return [asked(world, each, "GET", "/v1/me").status == 200 for each in secrets]


def test_revocation_with_issued_ends_what_was_issued_during_it(world: World, before_commit: BeforeCommit) -> None:
    root = made(world, "owner")
    children: list[Any] = []

    def issue(other: World) -> Answer:
        answer = asked(other, root["secret"], "POST", of(world, "owner"), NEW)
        children.append(answer.body)
        return answer

    before_commit(issue)
    assert world("DELETE", f"{root['path']}?issued=true").status == 204
    assert statuses(world, root["path"], of(world, "owner", children[0]["id"])) == ["revoked", "revoked"]
    assert good(world, root["secret"], children[0]["secret"]) == [False, False]


def test_credential_that_is_revoked_during_its_request_issues_none(world: World, before_commit: BeforeCommit) -> None:
    root = made(world, "owner")
    before = len(world("GET", of(world, "owner")).body["data"])
    before_commit(lambda other: other("DELETE", root["path"]))
    refused = asked(world, root["secret"], "POST", of(world, "owner"), NEW)
    assert code(refused) == (409, "credential_ended")
    assert len(world("GET", of(world, "owner")).body["data"]) == before
    assert statuses(world, root["path"]) == ["revoked"]


def test_earlier_end_during_an_issue_bounds_the_child(world: World, before_commit: BeforeCommit) -> None:
    root = made(world, "owner", expires_at=in_days(9))
    body = {**NEW, "expires_at": in_days(8)}
    before_commit(lambda other: other("PATCH", root["path"], {"expires_at": in_days(1)}))
    refused = asked(world, root["secret"], "POST", of(world, "owner"), body)
    assert refused.body["detail"][0]["type"] == "beyond_issuer"
    children: list[str] = []

    def issue(other: World) -> Answer:
        answer = asked(other, root["secret"], "POST", of(world, "owner"), {**NEW, "expires_at": in_days(0.9)})
        children.append(answer.body["id"])
        return answer

    before_commit(issue)
    ends = in_days(0.5)
    assert world("PATCH", root["path"], {"expires_at": ends}).status == 200
    assert world("GET", of(world, "owner", children[0])).body["expires_at"] == ends
    assert statuses(world, root["path"]) == ["active"]


def test_limit_of_live_credentials_holds_for_two_at_once(world: World, before_commit: BeforeCommit) -> None:
    path = of(world, "viewer")
    live = len(world("GET", f"{path}?limit=100").body["data"])
    for _ in range(49 - live):
        made(world, "viewer", by="viewer")
    # By another credential of its own: each one's row has the number of those that it made.
    before_commit(lambda other: asked(other, other.principal("viewer")["api_key"], "POST", path, NEW))
    assert code(world("POST", path, NEW, by="viewer")) == (409, "too_many_credentials")
    assert len(world("GET", f"{path}?limit=100").body["data"]) == 50


def test_first_use_of_the_newest_secret_during_a_rotation_keeps_it(world: World, before_commit: BeforeCommit) -> None:
    one = made(world, "owner")
    newest = world("POST", f"{one['path']}/rotate", {}).body["secret"]
    before_commit(lambda other: asked(other, newest, "GET", "/v1/me"))
    assert code(world("POST", f"{one['path']}/rotate", {})) == (409, "rotated_already")
    assert good(world, one["secret"], newest) == [True, True]


def test_two_rotations_at_once_leave_the_older_secret_and_the_last_one(
    world: World, before_commit: BeforeCommit
) -> None:
    one = made(world, "owner")
    first: list[str] = []

    def rotate(other: World) -> Answer:
        answer = other("POST", f"{one['path']}/rotate", {})
        first.append(answer.body["secret"])
        return answer

    before_commit(rotate)
    second = world("POST", f"{one['path']}/rotate", {}).body["secret"]
    assert good(world, one["secret"], first[0], second) == [True, False, True]
    assert statuses(world, one["path"]) == ["active"]


def test_revocation_during_a_rotation_or_a_change_wins(world: World, before_commit: BeforeCommit) -> None:
    for method, suffix, body in (("POST", "/rotate", {}), ("PATCH", "", {"name": "B"})):
        one = made(world, "owner")
        before_commit(lambda other, path=one["path"]: other("DELETE", path))  # type: ignore[misc]
        assert code(world(method, one["path"] + suffix, body)) == (409, "credential_ended")
        assert good(world, one["secret"]) == [False]
        assert statuses(world, one["path"]) == ["revoked"]


def test_change_and_revocation_during_each_other_lose_nothing(world: World, before_commit: BeforeCommit) -> None:
    one = made(world, "owner", expires_at=in_days(3))
    ends = in_days(1)
    before_commit(lambda other: other("PATCH", one["path"], {"expires_at": ends}))
    rotated = world("POST", f"{one['path']}/rotate", {}).body
    assert (rotated["name"], rotated["expires_at"]) == ("CI", ends)
    before_commit(lambda other: other("PATCH", one["path"], {"name": "B"}))
    assert world("DELETE", one["path"]).status == 204
    shown = world("GET", one["path"]).body
    assert (shown["name"], shown["status"], shown["expires_at"]) == ("B", "revoked", ends)
    assert good(world, one["secret"], rotated["secret"]) == [False, False]


def test_request_with_a_key_that_its_twin_overtakes_makes_one_credential(
    world: World, before_commit: BeforeCommit
) -> None:
    path = of(world, "viewer")
    before = len(world("GET", path).body["data"])
    before_commit(lambda other: other("POST", path, NEW, by="viewer", key="k"))
    answer = world("POST", path, NEW, by="viewer", key="k")
    assert (answer.status, answer.replayed, answer.body["secret"]) == (201, True, None)
    assert len(world("GET", path).body["data"]) == before + 1
    rotated = world("POST", of(world, "viewer", answer.body["id"], "rotate"), {}, by="viewer").body
    assert good(world, rotated["secret"]) == [True], "the answer with the secret was lost: a rotation has another"
