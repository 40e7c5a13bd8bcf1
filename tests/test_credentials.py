"""Credentials: recognised in either header, refused for a typo without a read, ended by expiry and revocation."""

import os
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from atrium.credentials import digest, is_well_formed, new_secret
from atrium.store import credentials as store_credentials
from local.functions import call
from local.template import Template
from tests.client import World
from tests.trace import Trace


def status(world: World, *headers: tuple[str, str]) -> int:
    return world.raw("GET", "/v1/me", list(headers)).status


def test_either_header_takes_a_credential_in_any_case_of_its_name(world: World) -> None:
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    for secret in (token, key):
        assert status(world, ("Authorization", f"Bearer {secret}")) == 200
        assert status(world, ("authorization", f"bearer {secret}")) == 200
        assert status(world, ("X-API-Key", secret)) == 200
        assert status(world, ("x-api-key", f" {secret} ")) == 200


def test_anything_but_one_credential_is_401(world: World) -> None:
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    bearer = ("Authorization", f"Bearer {token}")
    for headers in (
        [],
        [bearer, ("X-API-Key", key)],
        [bearer, bearer],
        [("X-API-Key", key), ("x-api-key", key)],
        [bearer, ("X-API-Key", "")],
        [("Authorization", token)],
        [("Authorization", f"Basic {token}")],
        [("Authorization", f"ApiKey {key}")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", f"Bearer {token} {token}")],
        [("Authorization", f"Bearer {token},Bearer {token}")],
        [("X-API-Key", f"Bearer {key}")],
        [("X-API-Key", "é")],
    ):
        assert status(world, *headers) == 401, headers


def test_identity_is_taken_from_the_authorizer_and_nowhere_else(world: World) -> None:
    token = ("Authorization", f"Bearer {world.principal('viewer')['token']}")
    claims = [("tenant_id", "x"), ("principal_id", world.id("owner")), ("X-Principal-Id", world.id("owner"))]
    answer = world.raw("GET", f"/v1/me?principal_id={world.id('owner')}", [token, *claims])
    assert answer.body["id"] == world.id("viewer")


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


def test_secrets_are_of_their_form() -> None:
    made = {new_secret(kind) for kind in ("token", "key") for _ in range(500)}
    assert len(made) == 1000
    assert all(is_well_formed(secret) for secret in made)


def change(secret: str, expression: str, **values: str) -> None:
    """What no route does yet: an operator at the table."""
    boto3.client("dynamodb").update_item(
        TableName=os.environ["TABLE_NAME"],
        Key={"pk": {"S": f"KEY#{digest(secret)}"}, "sk": {"S": "META"}},
        UpdateExpression=expression,
        ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
    )


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Moves the clock of the process's memory of credentials, and no other thread's."""
    now = time.monotonic()
    monkeypatch.setattr(store_credentials, "time", SimpleNamespace(monotonic=lambda: now + seconds))


def test_a_revocation_takes_effect_within_30_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = world.principal("owner")["token"]
    assert status(world, ("X-API-Key", secret)) == 200
    change(secret, "SET revoked_at = :now", now="2026-01-01T00:00:00.000Z")
    later(monkeypatch, 30)
    assert status(world, ("X-API-Key", secret)) == 401
    assert status(world, ("X-API-Key", world.principal("owner")["api_key"])) == 200, "the other one lives on"


def test_a_credential_expires_at_its_moment_even_when_it_is_remembered(
    world: World, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    made: Any = call(
        template.functions["Provision"],
        {
            "request_token": "expiring",
            "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
            "principals": [
                {
                    "name": "Temp",
                    "email": "temp@acme.example",
                    "credentials": [{"kind": "key", "expires_at": soon.isoformat()}],
                }
            ],
        },
    )
    secret = made["principals"][0]["credentials"][0]["secret"]
    assert status(world, ("X-API-Key", secret)) == 200
    while datetime.now(UTC) <= soon:
        time.sleep(0.05)
    assert status(world, ("X-API-Key", secret)) == 401


def last_used(secret: str) -> str | None:
    key = {"pk": {"S": f"KEY#{digest(secret)}"}, "sk": {"S": "META"}}
    item = boto3.client("dynamodb").get_item(TableName=os.environ["TABLE_NAME"], Key=key)["Item"]
    found: str | None = item.get("last_used", {}).get("S")
    return found


def test_last_use_is_noted_once_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = world.principal("viewer")["api_key"]
    assert last_used(secret) is None
    status(world, ("X-API-Key", secret))
    first = last_used(secret)
    assert first is not None
    later(monkeypatch, 60)
    status(world, ("X-API-Key", secret))
    assert last_used(secret) == first
    change(secret, "SET last_used = :long_ago", long_ago="2026-01-01T00:00:00.000Z")
    later(monkeypatch, 120)
    status(world, ("X-API-Key", secret))
    assert (last_used(secret) or "") >= first


def test_no_secret_is_in_the_table(world: World) -> None:
    for tenant in world.dev["tenants"].values():
        for principal in tenant["principals"].values():
            for kind in ("token", "api_key"):
                assert status(world, ("X-API-Key", principal[kind])) == 200
    items = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["TABLE_NAME"])
    text = str([page["Items"] for page in items])
    assert "KEY#" in text
    assert "atr_" not in text
