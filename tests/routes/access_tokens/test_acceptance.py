"""Valid access tokens: the caller is the subject's principal, until the token or the identity ends."""

import json
import subprocess
import sys
import time

import pytest

from atrium.access_tokens import LEEWAY
from local.functions import call
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.template import ROOT, Template, lambda_environment
from tests.support.client import A_UUID, World, new_key
from tests.support.forgery import OWNER, Forge
from tests.support.requests import FLAT
from tests.support.tokens import ASKED, at, bearer, status
from tests.support.world import KEY


def test_token_gives_the_same_answers_as_a_credential(world: World, issuer: Issuer) -> None:
    token = issuer.token(OWNER)
    with_token = world.raw("GET", "/v1/me", bearer(token))
    with_secret = world("GET", "/v1/me").body
    used = {"id": A_UUID, "kind": "identity"}
    assert with_token.seen == (200, with_secret | {"credential": with_secret["credential"] | used})
    key = new_key()
    made = world("POST", "/projects", FLAT, key=key)
    headers = [*bearer(token), ("Idempotency-Key", key), ("Content-Type", "application/json")]
    again = world.raw("POST", "/projects", headers, json.dumps(FLAT).encode())
    assert (again.status, again.content, again.replayed) == (201, made.content, True), "one principal, one key"


def test_token_authenticates_its_subject_only(world: World, issuer: Issuer) -> None:
    for tenant in ("acme", "globex"):
        for name in ("owner", "contributor", "viewer", "outsider"):
            answer = world.raw("GET", "/v1/me", bearer(issuer.token(f"{name}@{tenant}.example")))
            assert answer.body["id"] == world.id(name, tenant)


def test_optional_claims_and_header_types_are_accepted(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    at(monkeypatch, now)
    for claims in (
        {"aud": [AUDIENCE, "https://elsewhere.example"]},
        {"nbf": now, "jti": "x", "client_id": "c", "scope": "openid"},
        {"iat": now + 20, "exp": now + 60},
        {"iat": now - 60, "exp": now - 20},
        {"ratio": 1.1, "nested": {"a": [1, 2]}},
        {"iat": now, "exp": now + 3_600},
    ):
        assert status(world, issuer.token(OWNER, **{"iat": now, "exp": now + 300} | claims)) == 200, claims
    monkeypatch.undo()
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt"):
        assert status(world, Forge(issuer)(header={"typ": typ})) == 200, typ


def test_token_expires_while_its_principal_is_cached(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    token = issuer.token(OWNER, iat=now, exp=now + 60)
    found = []
    for seconds in (0, 60, 60 + LEEWAY - 0.1, 60 + LEEWAY):
        at(monkeypatch, now + seconds)
        found.append(status(world, token))
    assert found == [200, 200, 200, 401]
    monkeypatch.undo()
    assert status(world, issuer.token(OWNER)) == 200


def test_identity_is_listed_and_revoked_like_a_credential(world: World, taking: Template, issuer: Issuer) -> None:
    holder = {"tenant_id": world.dev["tenants"]["acme"]["tenant_id"], "principal_id": world.uuid("viewer")}
    identity = {"kind": "identity", "issuer": ISSUER, "subject": "another name of the viewer"}
    issue = {**holder, "request_token": "identity", "credential": identity}
    made = call(taking.functions["IssueCredential"], issue)
    assert set(made) == {"credential_id", "kind"}, "there is no secret to show"
    answer = world.raw("GET", "/v1/me", bearer(issuer.token("another name of the viewer")))
    assert answer.body["id"] == world.id("viewer")
    listed = call(taking.functions["ListCredentials"], holder)["credentials"]
    (found,) = [one for one in listed if one["credential_id"] == made["credential_id"]]
    assert (found["issuer"], found["subject"], found["revoked_at"]) == (ISSUER, identity["subject"], None)
    assert found["last_used"] is not None
    call(taking.functions["RevokeCredential"], {**holder, "credential_id": made["credential_id"]})
    again = call(taking.functions["ListCredentials"], holder)["credentials"]
    assert [one["revoked_at"] is not None for one in again if one["credential_id"] == made["credential_id"]] == [True]


def test_without_an_issuer_tokens_are_refused_and_the_library_is_not_loaded(template: Template, engine: str) -> None:
    """Runs in a separate process, as in Lambda."""
    program = """
import json, sys
from atrium.credentials import new_secret
from local.functions import FunctionFailed, call
from local.template import Function
for secret in (sys.argv[1], "x"):
    event = json.loads(sys.argv[2]) | {"headers": {"Authorization": f"Bearer {secret}"}}
    try:
        call(Function("Authorizer", "authorizer.handler", 15, 256, {}), event)
    except FunctionFailed as failure:
        assert failure.message == "Unauthorized", failure
print(json.dumps([name for name in ("jwt", "jwt.algorithms") if name in sys.modules]))
"""
    environment = lambda_environment(template.functions["Authorizer"], engine, "http://127.0.0.1:9", KEY)
    path = ":".join(str(ROOT / part) for part in (".", "functions", "layers/atrium"))
    token = Forge()()
    ran = subprocess.run(
        [sys.executable, "-c", program, token, json.dumps(ASKED)],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, loaded = map(json.loads, ran.stdout.splitlines())
    assert [line["message"] for line in said] == ["Unauthorized"] * 2
    assert loaded == []


def test_token_is_accepted_as_bearer_token_only(world: World, issuer: Issuer) -> None:
    token = issuer.token(OWNER)
    for headers in (
        [("X-API-Key", token)],
        [("Authorization", token)],
        [("Authorization", f"Basic {token}")],
        [*bearer(token), ("X-API-Key", world.principal("owner")["api_key"])],
        [("Authorization", f"Bearer {token}, Bearer {token}")],
        [("Cookie", f"token={token}")],
    ):
        assert world.raw("GET", "/v1/me", headers).status == 401, headers
    for headers in ([*bearer(token), *bearer(token)], [*bearer(token), ("X-API-Key", token)]):
        assert world.raw("GET", "/v1/me", headers).status == 200, headers
    assert world.raw("GET", f"/v1/me?access_token={token}", []).status == 401
