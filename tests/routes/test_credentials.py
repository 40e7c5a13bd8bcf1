"""Credentials: recognised in either header, refused for a typo without a read; issued, rotated, ended."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from atrium.credentials import digest, is_well_formed, new_secret
from atrium.store import credentials as store_credentials
from atrium.store.engine import table as tables
from atrium.store.fsck.check import Check
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import A_MOMENT, A_UUID, World, flat_path, v1_id
from tests.support.faults import faulty
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.trace import Trace

MISSING = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."
SEVERAL = "Two different credentials were sent. Send exactly one: Authorization: Bearer <token>, or X-API-Key: <key>."


def status(world: World, *headers: tuple[str, str]) -> int:
    return world.raw("GET", "/v1/me", list(headers)).status


def test_either_header_takes_a_credential_in_any_case_of_its_name(world: World) -> None:
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    for secret in (token, key):
        assert status(world, ("Authorization", f"Bearer {secret}")) == 200
        assert status(world, ("authorization", f"bearer {secret}")) == 200
        assert status(world, ("X-API-Key", secret)) == 200
        assert status(world, ("x-api-key", f" {secret} ")) == 200


def test_request_without_exactly_one_credential_is_401(world: World) -> None:
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    for headers in (
        [],
        [("Authorization", token)],
        [("Authorization", f"Basic {token}")],
        [("Authorization", f"ApiKey {key}")],
        [("Authorization", f"Token {token}")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", f"Bearer {token} {token}")],
        [("Authorization", f"Bearer {token},Bearer {token}")],
        [("X-API-Key", f"Bearer {key}")],
        [("X-API-Key", "é")],
    ):
        answer = world.raw("GET", "/v1/me", headers)
        assert answer.seen == (401, {"error": MISSING, "detail": MISSING}), headers


def test_credential_sent_twice_is_accepted(world: World) -> None:
    """Some generated clients fill in both security schemes of the document."""
    for secret in (world.principal("owner")["token"], world.principal("owner")["api_key"]):
        bearer, key = ("Authorization", f"Bearer {secret}"), ("X-API-Key", secret)
        for headers in ([bearer, key], [bearer, bearer], [key, ("x-api-key", f" {secret} ")], [bearer, key, bearer]):
            answer = world.raw("GET", "/v1/me", headers)
            assert (answer.status, answer.body["id"]) == (200, world.id("owner")), headers


def test_two_different_credentials_are_refused_with_their_own_code(world: World) -> None:
    """Even credentials of one principal, and a malformed second one."""
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    bearer = ("Authorization", f"Bearer {token}")
    for headers in (
        [bearer, ("X-API-Key", key)],
        [bearer, ("X-API-Key", "")],
        [bearer, ("X-API-Key", "x")],
        [bearer, ("Authorization", f"Bearer {key}")],
        [bearer, ("Authorization", f"Basic {token}")],
        [("Authorization", token), ("X-API-Key", token)],
        [("X-API-Key", key), ("X-API-Key", token)],
    ):
        answer = world.raw("GET", "/v1/me", headers)
        assert answer.seen == (401, {"error": SEVERAL, "detail": SEVERAL}), headers
        assert answer.headers["www-authenticate"] == "Bearer"


def test_identity_comes_from_the_authorizer_only(world: World) -> None:
    token = ("Authorization", f"Bearer {world.principal('viewer')['token']}")
    claims = [("tenant_id", "x"), ("principal_id", world.id("owner")), ("X-Principal-Id", world.id("owner"))]
    assert world.raw("GET", "/v1/me", [token, *claims]).body["id"] == world.id("viewer")
    project = world.new_project()
    asked = f"{flat_path(project)}?principal_id={world.id('owner')}"
    assert world.raw("DELETE", asked, [token, *claims]).status == 403


def test_a_typo_is_refused_without_a_read_of_the_table(traced: tuple[World, Trace]) -> None:
    world, trace = traced
    secret = world.principal("owner")["token"]
    trace.clear()
    for position in range(len(secret)):
        typo = secret[:position] + ("x" if secret[position] != "x" else "y") + secret[position + 1 :]
        assert not is_well_formed(typo)
        assert status(world, ("X-API-Key", typo)) == 401
    for shape in (secret[:-1], secret + "0", secret.upper(), secret.replace("atr", "ghp"), " ", "atr_token_"):
        assert status(world, ("X-API-Key", shape)) == 401
    assert trace.calls == []
    assert status(world, ("X-API-Key", new_secret("key"))) == 401, "well formed, but nobody's"
    assert [made.operation for made in trace.calls] == ["GetItem"]


def test_checksum_of_a_secret_is_its_crc32_in_six_base62_digits() -> None:
    """The example was computed independently: a change of the form would break every issued credential."""
    assert is_well_formed("atr_key_" + "0" * 43 + "2lnRmX")
    assert is_well_formed("atr_token_" + "z" * 43 + "00zVT8")


def test_a_credential_is_remembered_for_30_seconds(
    traced: tuple[World, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, trace = traced
    key = ("X-API-Key", world.principal("owner")["api_key"])
    asked = []
    for seconds in (0.0, 29.9, 30.0):
        monkeypatch.setattr(store_credentials, "time", SimpleNamespace(monotonic=lambda now=seconds: now))
        trace.clear()
        assert status(world, key) == 200
        asked.append([made.operation for made in trace.calls if made.operation == "GetItem"])
    assert asked == [["GetItem"], [], ["GetItem"]]
    assert (store_credentials.CACHE_SECONDS, store_credentials.CACHE_SIZE) == (30, 1_000)


def test_cache_keeps_the_most_recently_used_credentials(
    traced: tuple[World, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, trace = traced
    monkeypatch.setattr(store_credentials, "CACHE_SIZE", 2)
    asked = []
    for name in ("owner", "viewer", "owner", "contributor", "owner", "contributor", "viewer"):
        trace.clear()
        assert status(world, ("X-API-Key", world.principal(name)["api_key"])) == 200
        asked.append(len([made for made in trace.calls if made.operation == "GetItem"]))
    assert asked == [1, 1, 0, 1, 1, 0, 1], "the third pushes out the first that was looked up"


def test_secrets_have_the_documented_form() -> None:
    made = {new_secret(kind) for kind in ("token", "key") for _ in range(500)}
    assert len(made) == 1000
    assert all(is_well_formed(secret) for secret in made)


# ---------------------------------------------------------------- their life


class Operator:
    """An operator, who invokes the functions without a URL on the credentials of a principal of acme."""

    def __init__(self, world: World, template: Template, principal: str = "owner") -> None:
        tenant = world.dev["tenants"]["acme"]["tenant_id"]
        self._holder = {"tenant_id": tenant, "principal_id": world.uuid(principal)}
        self._template = template

    def __call__(self, function: str, **event: Any) -> Any:
        return call(self._template.functions[function], {**self._holder, **event})

    def refusal(self, function: str, **event: Any) -> str:
        with pytest.raises(FunctionFailed) as failure:
            self(function, **event)
        assert failure.value.error_type == "Refused"
        return failure.value.message

    def issue(self, token: str = "t", **credential: Any) -> Any:
        return self("IssueCredential", request_token=token, credential={"kind": "key", **credential})

    def rotate(self, made: Any, token: str = "r", **event: Any) -> Any:
        id = made["credential_id"]
        return self("RotateCredential", **{"request_token": token, "credential_id": id, **event})

    def revoke(self, made: Any) -> Any:
        return self("RevokeCredential", credential_id=made["credential_id"])

    def listed(self, made: Any) -> Any:
        found = self("ListCredentials")["credentials"]
        return next(one for one in found if one["credential_id"] == made["credential_id"])


@pytest.fixture
def operator(world: World, template: Template) -> Operator:
    return Operator(world, template)


def works(world: World, secret: str) -> bool:
    return status(world, ("X-API-Key", secret)) == 200


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
    nobody = {"principal_id": v1_id("64a1f2c3b4e5d6f7a8b9c0d1"), "request_token": "n", "credential": {"kind": "key"}}
    assert operator.refusal("IssueCredential", **nobody) == "Principal not found."
    assert operator.refusal("ListCredentials", principal_id=nobody["principal_id"]) == "Principal not found."
    foreign = world.dev["tenants"]["globex"]["tenant_id"]
    assert operator.refusal("IssueCredential", **nobody | {"tenant_id": foreign}) == "Principal not found."
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


def test_a_second_rotation_ends_the_oldest_secret_at_once(
    world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = operator.issue()
    second = operator.rotate(first, "r-1")
    third = operator.rotate(first, "r-2")
    later(monkeypatch, 30)
    assert [works(world, made["secret"]) for made in (first, second, third)] == [False, True, True]
    assert operator.listed(first)["previous"]["expires_at"] == third["previous_expires_at"]


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
    left = datetime.fromisoformat(listed["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=3_000) < left <= timedelta(seconds=3_601)
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


# ---------------------------------------------------------------- races


@pytest.fixture
def meanwhile(world: World, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
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
    world: World, operator: Operator, meanwhile: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    rotated: list[Any] = []
    meanwhile(lambda: rotated.append(operator.rotate(made)))
    operator.revoke(made)
    assert [works(world, secret) for secret in (made["secret"], rotated[0]["secret"])] == [False, False]


def test_a_revocation_during_a_rotation_wins(
    world: World, operator: Operator, meanwhile: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    meanwhile(lambda: operator.revoke(made))
    given = {"request_token": "r", "credential_id": made["credential_id"]}
    assert operator.refusal("RotateCredential", **given) == "The credential has ended. Issue another one."
    assert not works(world, made["secret"])


def test_two_rotations_at_once_come_one_after_the_other(
    world: World, operator: Operator, meanwhile: Callable[[Callable[[], Any]], None]
) -> None:
    made = operator.issue()
    first: list[Any] = []
    meanwhile(lambda: first.append(operator.rotate(made, "first")))
    second = operator.rotate(made, "second")
    secrets = made["secret"], first[0]["secret"], second["secret"]
    assert [works(world, secret) for secret in secrets] == [False, True, True]
    check = tables.table()
    assert Check(check).run()["clean"]


# ---------------------------------------------------------------- secrets


def test_no_secret_is_in_the_table_in_an_answer_or_in_a_log(
    world: World, operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    """Calls every route with every kind of credential, valid and invalid, and with a broken table."""
    secrets = {
        principal[kind]
        for tenant in world.dev["tenants"].values()
        for principal in tenant["principals"].values()
        for kind in ("token", "api_key")
    }
    issued = operator.issue()
    secrets |= {issued["secret"], operator.rotate(issued)["secret"], new_secret("key")}
    project = a_project(world)
    told = [json.dumps(operator("ListCredentials"))]
    for route, request in EVERY_ROUTE.items():
        method, path, _ = request(world, project if "Delete" not in route else a_project(world))
        for secret in secrets:
            answers = [
                world.raw(method, path, [("X-API-Key", secret)], b"{"),
                world.raw("GET", path, [("X-API-Key", secret), ("Idempotency-Key", secret), ("If-Match", secret)]),
            ]
            told += [f"{answer.content.decode()}{dict(answer.headers)}" for answer in answers]
    with faulty(lambda number, operation, params: "unknown"), pytest.raises(FunctionFailed):
        operator.issue("broken")
    items = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["TABLE_NAME"])
    rows = str([page["Items"] for page in items])
    assert "KEY#" in rows
    logs = capfd.readouterr()
    for secret in secrets:
        for text in (rows, *told, logs.out, logs.err):
            assert secret not in text
    assert "atr_" not in rows
