"""Credentials in requests: recognised in either header, refused after a typing error without a read, never shown."""

import json
import os
from types import SimpleNamespace

import boto3
import pytest

from atrium.credentials import is_well_formed, new_secret
from atrium.store import credentials as store_credentials
from local.functions import FunctionFailed
from tests.support.client import World, flat_path
from tests.support.faults import faulty
from tests.support.operator import Operator, status
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.trace import Trace
from tests.support.world import full

MISSING = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."
SEVERAL = "Two different credentials were sent. Send exactly one: Authorization: Bearer <token>, or X-API-Key: <key>."


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
    assert status(world, ("X-API-Key", new_secret("key"))) == 401, "well formed, but unknown"
    assert [made.operation for made in trace.calls] == ["GetItem"]


def test_checksum_of_a_secret_is_its_crc32_in_six_base62_digits() -> None:
    """The example was computed independently: a change of the form would break every issued credential."""
    assert is_well_formed("atr_key_" + "0" * 43 + "2lnRmX")
    assert is_well_formed("atr_token_" + "z" * 43 + "00zVT8")


def test_a_credential_is_remembered_for_20_seconds(
    traced: tuple[World, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, trace = traced
    key = ("X-API-Key", world.principal("owner")["api_key"])
    asked = []
    for seconds in (0.0, 19.9, 20.0):
        monkeypatch.setattr(store_credentials, "time", SimpleNamespace(monotonic=lambda now=seconds: now))
        trace.clear()
        assert status(world, key) == 200
        asked.append([made.operation for made in trace.calls if made.operation == "GetItem"])
    assert asked == [["GetItem"], [], ["GetItem"]]
    assert (store_credentials.CACHE_SECONDS, store_credentials.CACHE_SIZE) == (20, 1_000)


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


def test_no_secret_is_in_the_table_in_an_answer_or_in_a_log(
    world: World, operator: Operator, capfd: pytest.CaptureFixture[str]
) -> None:
    """Calls every route with every kind of credential, valid and invalid, and with a broken table; inside `make test`
    each route with some of them in turn.
    """
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
    step = full(6, 1)
    for turn, (route, request) in enumerate(EVERY_ROUTE.items()):
        method, path, _ = request(world, project if "Delete" not in route else a_project(world))
        for secret in sorted(secrets)[turn % step :: step]:
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
