"""Credentials are issued, rotated, revoked and expire."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from atrium.credentials import digest
from atrium.store import credentials as store_credentials
from atrium.store.engine import table as tables
from atrium.store.fsck.check import Check
from local.template import Template
from tests.support.client import A_MOMENT, A_UUID, World, v1_id
from tests.support.operator import Operator, works


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Moves the clock of the process's memory of credentials, and no other thread's."""
    now = vars(store_credentials)["time"].monotonic()
    monkeypatch.setattr(store_credentials, "time", SimpleNamespace(monotonic=lambda: now + seconds))


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Sets the clock by which credentials end and their use is noted."""
    monkeypatch.setattr(store_credentials, "datetime", SimpleNamespace(now=lambda _: moment))


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_credential_is_issued_once_and_its_secret_shown_once(world: World, operator: Operator) -> None:
    made = operator.issue()
    assert made == {"credential_id": A_UUID, "kind": "key", "secret": made["secret"]}
    assert works(world, made["secret"])
    again = operator.issue()
    assert again == {"credential_id": made["credential_id"], "kind": "key"}
    assert len(operator("ListCredentials")["credentials"]) == 4
    assert operator.refusal("IssueCredential", request_token="t", credential={"kind": "token"}) == (
        "event.request_token: This request_token was used for another request. Send a new one."
    )


def test_credential_for_an_unknown_principal_or_used_identity_is_refused(
    operator: Operator, world: World, template: Template
) -> None:
    unknown = {"principal_id": v1_id("64a1f2c3b4e5d6f7a8b9c0d1"), "request_token": "n", "credential": {"kind": "key"}}
    assert operator.refusal("IssueCredential", **unknown) == "Principal not found."
    assert operator.refusal("ListCredentials", principal_id=unknown["principal_id"]) == "Principal not found."
    foreign = world.dev["tenants"]["globex"]["tenant_id"]
    assert operator.refusal("IssueCredential", **unknown | {"tenant_id": foreign}) == "Principal not found."
    given = {"kind": "key", "sha256": digest(world.principal("viewer")["api_key"])}
    assert operator.refusal("IssueCredential", request_token="n", credential=given) == "credential: Is in use already"


def test_a_rotation_leaves_two_secrets_until_the_deadline_of_the_older(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = operator.issue()
    second = operator.rotate(first, overlap_seconds=600)
    assert second == {
        "credential_id": first["credential_id"],
        "kind": "key",
        "previous_expires_at": A_MOMENT,
        "secret": second["secret"],
    }
    assert second["secret"] != first["secret"]
    assert works(world, first["secret"])
    assert works(world, second["secret"])
    listed = operator.listed(first)
    assert listed["previous"]["expires_at"] == second["previous_expires_at"]
    assert listed["expires_at"] is None
    ends = datetime.fromisoformat(second["previous_expires_at"])
    at(monkeypatch, ends - timedelta(milliseconds=1))
    assert works(world, first["secret"])
    at(monkeypatch, ends)
    assert not works(world, first["secret"])
    assert works(world, second["secret"])


def test_a_second_rotation_replaces_a_secret_that_was_never_used(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = operator.issue()
    second = operator.rotate(first, "r-1", overlap_seconds=600)
    third = operator.rotate(first, "r-2")
    assert third["previous_expires_at"] == second["previous_expires_at"]
    assert [works(world, made["secret"]) for made in (first, second, third)] == [True, False, True]
    assert operator.listed(first)["previous"]["expires_at"] == third["previous_expires_at"]
    given = {"request_token": "r-3", "credential_id": first["credential_id"]}
    assert operator.refusal("RotateCredential", **given) == (
        "It was rotated, and both of its secrets are in use. Rotate it again once the older one has ended."
    )


def test_a_second_rotation_after_the_overlap_leaves_the_newest_two_secrets(world: World, operator: Operator) -> None:
    first = operator.issue()
    second = operator.rotate(first, "r-1", overlap_seconds=0)
    assert works(world, second["secret"])
    third = operator.rotate(first, "r-2")
    assert [works(world, made["secret"]) for made in (first, second, third)] == [False, True, True]


def test_the_same_rotation_again_changes_nothing(world: World, operator: Operator) -> None:
    first = operator.issue()
    second = operator.rotate(first)
    again = operator.rotate(first)
    assert again == {name: value for name, value in second.items() if name != "secret"}
    assert works(world, second["secret"])
    assert works(world, first["secret"])


def test_rotated_credential_keeps_its_expiry(operator: Operator) -> None:
    hour = operator.issue(expires_at=in_seconds(3_600))
    rotated = operator.rotate(hour)
    listed = operator.listed(hour)
    assert rotated["previous_expires_at"] == listed["previous"]["expires_at"] < in_seconds(3_601)
    assert listed["expires_at"] == listed["previous"]["expires_at"]
    operator.rotate(hour, "given", expires_at="2036-01-01T00:00:00Z")
    assert operator.listed(hour)["expires_at"] == "2036-01-01T00:00:00.000Z"


def test_rotation_of_an_unfit_credential_is_refused(world: World, operator: Operator) -> None:
    gone = {"credential_id": v1_id("64a1f2c3b4e5d6f7a8b9c0d1")}
    assert operator.refusal("RotateCredential", request_token="r", **gone) == "Credential not found."
    assert operator.refusal("RevokeCredential", **gone) == "Credential not found."
    identity = operator.issue("i", kind="identity", issuer="https://id.example", subject="me")
    given = {"request_token": "r", "credential_id": identity["credential_id"]}
    assert operator.refusal("RotateCredential", **given) == (
        "An identity has no secret to rotate. Issue another one and revoke this one."
    )
    made = operator.issue()
    others = Operator(world, operator._template, "viewer")
    given = {"request_token": "r", "credential_id": made["credential_id"]}
    assert others.refusal("RotateCredential", **given) == "Credential not found."
    own = digest(world.principal("owner")["token"])
    assert operator.refusal("RotateCredential", sha256=own, **given) == "sha256: Is in use already"
    assert operator.refusal("RotateCredential", overlap_seconds=-1, **given).startswith("overlap_seconds: ")
    operator.revoke(made)
    assert operator.refusal("RotateCredential", **given) == "The credential has ended. Issue another one."


def test_a_revocation_takes_effect_within_30_seconds(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = operator.issue(), operator.issue("other")
    rotated = operator.rotate(made)
    secrets = made["secret"], rotated["secret"], other["secret"]
    assert [works(world, secret) for secret in secrets] == [True, True, True]
    revoked = operator.revoke(made)
    assert revoked == {"credential_id": made["credential_id"], "kind": "key", "revoked_at": A_MOMENT}
    later(monkeypatch, 30)
    assert [works(world, secret) for secret in secrets] == [False, False, True]
    assert operator.revoke(made) == revoked, "again, nothing changes"
    assert operator.listed(made)["revoked_at"] == revoked["revoked_at"]


def test_cached_credential_expires_at_its_time(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=600)
    secret = operator.issue(expires_at=ends.isoformat())["secret"]
    seen = []
    for before in (600_000, 1, 0, -1):
        at(monkeypatch, ends - timedelta(milliseconds=before))
        seen.append(works(world, secret))
    assert seen == [True, True, False, False]


def test_last_use_is_noted_once_an_hour(
    world: World, operator: Operator, traced_writes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = operator.issue()
    assert operator.listed(made)["last_used"] is None
    first = datetime.now(UTC).replace(microsecond=0)
    noted = []
    for number, hours in enumerate((0.0, 0.5, 0.999, 1.0, 1.5, 2.25)):
        moment = first + timedelta(hours=hours)
        at(monkeypatch, moment)
        # The process forgets the credential, so that it looks it up.
        later(monkeypatch, 60 * number)
        assert works(world, made["secret"])
        noted.append((datetime.fromisoformat(operator.listed(made)["last_used"]) - first) / timedelta(hours=1))
    assert noted == [0, 0, 0, 1, 1, 2.25]
    assert traced_writes == ["UpdateItem"] * 3


@pytest.fixture
def traced_writes(world: World) -> list[str]:
    """The single updates of the table from now on; only the authorizer makes such updates."""
    made: list[str] = []
    events = tables.table()._client.meta.events
    events.register("provide-client-params.dynamodb.UpdateItem", lambda model, **_: made.append(model.name))
    return made


@pytest.fixture
def before_commit(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Any]], None]:
    """Lets another request run, whole, right before the next one's transaction."""

    def arrange(request: Callable[[], Any]) -> None:
        commit = tables.Table.transact

        def transact(table: tables.Table, writes: Any, token: str) -> None:
            monkeypatch.setattr(tables.Table, "transact", commit)
            request()
            commit(table, writes, token)

        monkeypatch.setattr(tables.Table, "transact", transact)

    return arrange


def test_rotation_during_a_revocation_leaves_no_valid_secret(
    world: World, operator: Operator, before_commit: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    rotated: list[Any] = []
    before_commit(lambda: rotated.append(operator.rotate(made)))
    operator.revoke(made)
    assert [works(world, secret) for secret in (made["secret"], rotated[0]["secret"])] == [False, False]


def test_a_revocation_during_a_rotation_wins(
    world: World, operator: Operator, before_commit: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    before_commit(lambda: operator.revoke(made))
    given = {"request_token": "r", "credential_id": made["credential_id"]}
    assert operator.refusal("RotateCredential", **given) == "The credential has ended. Issue another one."
    assert not works(world, made["secret"])


def test_two_rotations_at_once_come_one_after_the_other(
    world: World, operator: Operator, before_commit: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    first: list[Any] = []
    before_commit(lambda: first.append(operator.rotate(made, "first")))
    second = operator.rotate(made, "second")
    secrets = made["secret"], first[0]["secret"], second["secret"]
    assert [works(world, secret) for secret in secrets] == [True, False, True]
    check = tables.table()
    assert Check(check).run()["clean"]
