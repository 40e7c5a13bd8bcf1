"""Access tokens of an issuer: taken when everything about them is right, and refused for anything else."""

import json
import random
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from atrium import access_tokens, issuer_keys
from atrium.access_tokens import LEEWAY, AccessTokens
from atrium.api.headers import OWS
from atrium.errors import Unavailable
from atrium.issuer_keys import FETCH_TIMEOUT, FRESH_FOR, RETRY_AFTER, STALE_FOR, UNKNOWN_FOR, FetchedKeys, GivenKeys
from local.functions import FunctionFailed, call
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.loopback import Handler, listening
from local.template import ROOT, Template, lambda_environment
from tests.support.client import World, new_key
from tests.support.clock import NET
from tests.support.forgery import ATTACKS, OWNER, Forge, encoded
from tests.support.requests import FLAT
from tests.support.trace import Trace
from tests.support.world import KEY, Count, full, inline


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def taking(issuer: Issuer) -> Template:
    """The template, deployed so that the issuer's tokens are taken."""
    return Template(JwtIssuer=ISSUER, JwtAudience=AUDIENCE, JwtJwks=issuer.jwks)


@pytest.fixture(scope="module")
def shared(taking: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Trace]]:
    trace = Trace()
    with inline(taking, engine, tmp_path_factory.mktemp("tokens"), trace.invoke) as made:
        yield made, trace


@pytest.fixture
def world(shared: tuple[World, Trace]) -> World:
    return shared[0]


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


def status(world: World, token: str) -> int:
    return world.raw("GET", "/v1/me", bearer(token)).status


def at(monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    """Sets the clock by which tokens end."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Moment":
            return cls.fromtimestamp(moment, tz)

    monkeypatch.setattr(jwt.api_jwt, "datetime", Moment)


# ---------------------------------------------------------------- what is taken


def test_a_token_is_as_good_as_a_credential_of_the_same_principal(world: World, issuer: Issuer) -> None:
    token = issuer.token(OWNER)
    with_token = world.raw("GET", "/v1/me", bearer(token))
    with_secret = world("GET", "/v1/me")
    assert (with_token.status, with_token.content) == (200, with_secret.content)
    key = new_key()
    made = world("POST", "/projects", FLAT, key=key)
    headers = [*bearer(token), ("Idempotency-Key", key), ("Content-Type", "application/json")]
    again = world.raw("POST", "/projects", headers, json.dumps(FLAT).encode())
    assert (again.status, again.content, again.replayed) == (201, made.content, True), "one principal, one key"


def test_a_token_speaks_for_its_subject_and_no_other(world: World, issuer: Issuer) -> None:
    for tenant in ("acme", "globex"):
        for name in ("owner", "contributor", "viewer", "outsider"):
            answer = world.raw("GET", "/v1/me", bearer(issuer.token(f"{name}@{tenant}.example")))
            assert answer.body["id"] == world.id(name, tenant)


def test_what_an_issuer_may_do_differently_is_taken(
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


def test_a_token_ends_while_its_principal_is_remembered(
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


def test_an_identity_ends_like_any_credential(world: World, taking: Template, issuer: Issuer) -> None:
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


# What an authorizer is asked, without the headers.
ASKED = {
    "methodArn": "arn:aws:execute-api:r:a:api/stage/GET/x",
    "httpMethod": "GET",
    "resource": "/x",
    "requestContext": {"requestId": "r"},
}


def test_without_an_issuer_no_token_is_taken_and_no_library_is_loaded(template: Template, engine: str) -> None:
    """In a process of its own, as in Lambda."""
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


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_token_is_refused_without_a_write(
    shared: tuple[World, Trace], issuer: Issuer, attack: str, count: Count
) -> None:
    world, trace = shared
    token = ATTACKS[attack](Forge(issuer))
    trace.clear()
    answer = world.raw("GET", "/v1/me", bearer(token))
    assert answer.status == 401, attack
    said = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."
    assert answer.body == {"error": said, "detail": said}
    count(attacks=1)
    assert {made.operation for made in trace.calls} <= {"GetItem"}, "who it is about is looked up, if anything"


def test_the_attacks_fail_for_what_they_forge_and_nothing_else(world: World, issuer: Issuer) -> None:
    assert status(world, Forge(issuer)()) == 200
    assert len(ATTACKS) >= 60


def test_a_token_is_taken_as_a_bearer_token_only(world: World, issuer: Issuer) -> None:
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


SCOPE = "atrium:all"


@pytest.fixture(scope="module")
def scoped(issuer: Issuer, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Deployed so that a token has to have a scope."""
    template = Template(JwtIssuer=ISSUER, JwtAudience=AUDIENCE, JwtJwks=issuer.jwks, JwtScope=SCOPE)
    with inline(template, engine, tmp_path_factory.mktemp("scoped"), call) as made:
        yield made


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"scope": SCOPE}, 200),
        ({"scope": f"openid {SCOPE} profile"}, 200),
        ({"scp": SCOPE}, 200),
        ({"scp": f"openid {SCOPE}"}, 200),
        ({"scp": ["openid", SCOPE]}, 200),
        ({"scope": "openid", "scp": [SCOPE]}, 200),
        ({}, 401),
        ({"scope": ""}, 401),
        ({"scope": "openid"}, 401),
        ({"scope": SCOPE.upper()}, 401),
        ({"scope": f"{SCOPE}s"}, 401),
        ({"scope": f"x{SCOPE}"}, 401),
        ({"scope": f"openid,{SCOPE}"}, 401),
        ({"scope": f"openid\t{SCOPE}"}, 401),
        ({"scope": [SCOPE]}, 401),
        ({"scope": {SCOPE: True}}, 401),
        ({"scope": 1, "scp": True}, 401),
        ({"scp": [[SCOPE]]}, 401),
        ({"scp": [f"openid {SCOPE}"]}, 401),
        ({"scp": {SCOPE: True}}, 401),
        ({"scopes": SCOPE, "roles": [SCOPE]}, 401),
    ],
)
def test_a_configured_scope_has_to_be_in_the_token(
    scoped: World, issuer: Issuer, claims: dict[str, Any], expected: int
) -> None:
    assert status(scoped, issuer.token(OWNER, **claims)) == expected
    assert scoped("GET", "/v1/me").status == 200, "a secret of Atrium's own has none"


def test_no_mutation_of_a_token_is_accepted(
    shared: tuple[World, Trace], issuer: Issuer, taking: Template, count: Count
) -> None:
    """The function itself is asked, as API Gateway would."""
    _, trace = shared
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    authorizer = taking.functions["Authorizer"]
    base = [issuer.token(OWNER), issuer.token("viewer@globex.example", aud=[AUDIENCE, "b"], scope="x")]
    trace.clear()
    tried = 0
    while tried < full(2_000, 100_000):
        token = mutated(chance.choice(base), chance)
        # White space around a header's value, or between it and the scheme, is not of the token (RFC 9110, 11.4).
        if token.strip(OWS) in base:
            continue
        tried += 1
        count(mutations=1)
        event = ASKED | {"headers": {"Authorization": f"Bearer {token}"}}
        try:
            accepted = call(authorizer, event)
        except FunctionFailed as failure:
            accepted = failure.message != "Unauthorized" and failure
        assert not accepted, f"seed {seed}: {token}"
    assert trace.calls == [], "no row was asked for"


def mutated(token: str, chance: random.Random) -> str:
    """The token with a few of its characters, bits or parts changed."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.randrange(len(token))
        match chance.randrange(8):
            case 0:
                token = token[:place] + chance.choice(_ALPHABET) + token[place + 1 :]
            case 1:
                token = token[:place] + token[place + 1 :]
            case 2:
                token = token[:place] + chance.choice(_ALPHABET) + token[place:]
            case 3:
                token = token[:place] + token[place].swapcase() + token[place + 1 :]
            case 4:
                other = chance.randrange(len(token))
                first, second = sorted((place, other))
                token = token[:first] + token[second:] + token[first:second]
            case 5:
                token = _with_bit_flipped(token, chance)
            case 6:
                parts = token.split(".")
                chance.shuffle(parts)
                token = ".".join(parts)
            case 7:
                token = token[:place]
        token = token or "."
    return token


_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \t"{}%é\0'


def _with_bit_flipped(token: str, chance: random.Random) -> str:
    """One bit of one part, behind its encoding."""
    parts = token.split(".")
    number = chance.randrange(len(parts))
    try:
        raw = bytearray(urlsafe_b64decode(parts[number] + "=="))
    except ValueError:
        return token
    if raw:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    parts[number] = encoded(bytes(raw))
    return ".".join(parts)


# ---------------------------------------------------------------- the issuer's keys


class Published:
    """An issuer's documents, served on this machine. `answer` says what is answered to a path: a status and a body."""

    def __init__(self, issuer: Issuer) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.issuer = issuer
        self.answer: Callable[[str], tuple[int, bytes]] = self.documents

    def documents(self, path: str) -> tuple[int, bytes]:
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        return (200, self.issuer.jwks.encode()) if path == "/keys" else (404, b"{}")

    def down(self, path: str) -> tuple[int, bytes]:
        return 503, b"down"


@pytest.fixture
def published(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """However long it takes to answer, but where a test says that it takes too long."""
    monkeypatch.setattr(issuer_keys, "FETCH_TIMEOUT", NET)
    with serving(Published(issuer)) as made:
        yield made


@contextmanager
def serving(made: Published) -> Iterator[Published]:
    class Documents(Handler):
        def answer(self) -> None:
            made.asked.append(self.path)
            status, body = made.answer(self.path)
            self.reply(status, body, **({"Location": f"{made.url}/keys"} if status == 302 else {}))

    with listening(Documents, "issuer") as made.url:
        yield made


class Clock:
    """The clock of the process's memory of keys, moved by hand. Waiting for the network takes no time on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(issuer_keys, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("configured", "asked"),
    [("", ["/.well-known/openid-configuration", "/keys"]), ("/keys", ["/keys"])],
    ids=["by discovery", "configured"],
)
def test_the_keys_are_where_they_are_configured_to_be_or_where_the_issuers_discovery_document_says(
    published: Published, issuer: Issuer, engine: str, tmp_path: Path, configured: str, asked: list[str]
) -> None:
    """The whole way, once: over HTTP from a configured issuer."""
    jwks = configured and published.url + configured
    template = Template(JwtIssuer=published.url, JwtAudience=AUDIENCE, JwtJwks=jwks)
    with inline(template, engine, tmp_path, call) as world:
        holder = {"tenant_id": world.dev["tenants"]["acme"]["tenant_id"], "principal_id": world.uuid("owner")}
        identity = {"kind": "identity", "issuer": published.url, "subject": "me"}
        call(template.functions["IssueCredential"], {**holder, "request_token": "i", "credential": identity})
        for _ in range(3):
            answer = world.raw("GET", "/v1/me", bearer(issuer.token("me", iss=published.url)))
            assert answer.body["id"] == world.id("owner")
        assert status(world, issuer.token("me")) == 401, "another issuer's"
    assert published.asked == asked


def tokens_of(published: Published, url: str | None = "/keys") -> AccessTokens:
    return AccessTokens(ISSUER, AUDIENCE, FetchedKeys(ISSUER, url and published.url + url))


def test_made_up_key_names_cause_one_fetch_in_30_seconds(
    published: Published, issuer: Issuer, clock: Clock, count: Count
) -> None:
    tokens = tokens_of(published)
    forge = Forge(issuer)
    names = full(1_000, 10_000)
    began = clock.now
    signed = forge().split(".")[1:]
    for number in range(names):
        clock.now = began + number * 300 / names
        header = encoded(json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": f"made up {number}"}).encode())
        assert tokens.identity(".".join([header, *signed])) is None
    assert 1 < len(published.asked) <= 300 / RETRY_AFTER + 1
    count(names=names, fetches_in_five_minutes=len(published.asked))
    assert tokens.identity(issuer.token(OWNER)) == (ISSUER, OWNER)


def test_one_made_up_key_name_causes_no_second_fetch_for_a_while(
    published: Published, issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(published)
    retired = Forge(issuer)(header={"kid": "retired"})
    for _ in range(9):
        assert tokens.identity(retired) is None
        clock.now += RETRY_AFTER
    assert len(published.asked) == 1


def test_a_key_name_is_made_up_for_five_minutes_whatever_else_is_asked_for(
    published: Published, issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(published)
    began, fetches = clock.now, []
    for seconds, name in ((0, "a"), (40, "b"), (80, "a"), (120, "b"), (299, "a"), (301, "a"), (339, "b"), (341, "b")):
        clock.now = began + seconds
        assert tokens.identity(Forge(issuer)(header={"kid": name})) is None
        fetches.append(len(published.asked))
    assert fetches == [1, 2, 2, 2, 2, 3, 3, 4]


def test_a_key_that_is_new_while_the_issuer_is_down_is_found_when_it_is_back(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = successor = Issuer(tmp_path)
    published.answer = published.down
    clock.now += RETRY_AFTER
    with pytest.raises(Unavailable):
        tokens.identity(successor.token(OWNER))
    published.answer = published.documents
    clock.now += RETRY_AFTER
    assert tokens.identity(successor.token(OWNER))


def test_a_new_key_is_found_and_an_old_one_forgotten(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = successor = Issuer(tmp_path)
    assert tokens.identity(successor.token(OWNER)) is None, "it was asked for just now"
    clock.now += RETRY_AFTER
    assert tokens.identity(successor.token(OWNER))
    assert tokens.identity(issuer.token(OWNER)) is None


def test_a_withdrawn_key_ends_when_the_keys_are_no_longer_fresh(
    published: Published, issuer: Issuer, clock: Clock, tmp_path: Path
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.issuer = Issuer(tmp_path)
    clock.now += FRESH_FOR - 1
    assert tokens.identity(issuer.token(OWNER))
    clock.now += 1
    assert tokens.identity(issuer.token(OWNER)) is None


def test_while_the_issuer_is_down_known_keys_are_good_for_a_day(
    published: Published, issuer: Issuer, clock: Clock
) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.answer = published.down
    began, asked = clock.now, len(published.asked)
    while clock.now < began + 3_600:
        clock.now += RETRY_AFTER
        assert tokens.identity(issuer.token(OWNER)), "an hour"
    assert len(published.asked) - asked <= 3_600 / RETRY_AFTER
    clock.now = began + STALE_FOR - 1
    assert tokens.identity(issuer.token(OWNER))
    with pytest.raises(Unavailable):
        tokens.identity(Forge(issuer)(header={"kid": "perhaps a new one"}))
    clock.now = began + STALE_FOR
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER))
    published.answer = published.documents
    clock.now += RETRY_AFTER
    assert tokens.identity(issuer.token(OWNER))


NOT_KEYS: dict[str, Callable[[Published, str], tuple[int, bytes]]] = {
    "an error": lambda p, _: (500, b"{}"),
    "not found": lambda p, _: (404, p.issuer.jwks.encode()),
    "a redirection": lambda p, path: (302, b"") if path != "/keys" else (200, p.issuer.jwks.encode()),
    "no JSON": lambda p, _: (200, b"keys"),
    "not UTF-8": lambda p, _: (200, b"\xff"),
    "an array": lambda p, _: (200, b"[]"),
    "no keys": lambda p, _: (200, b'{"keys":[]}'),
    "keys of no list": lambda p, _: (200, b'{"keys":{"a":1}}'),
    "over 64 KB": lambda p, _: (200, p.issuer.jwks.encode() + b" " * 65_536),
}


@pytest.mark.parametrize("kind", NOT_KEYS)
def test_an_answer_that_is_not_keys_is_as_good_as_none(published: Published, issuer: Issuer, kind: str) -> None:
    published.answer = lambda path: NOT_KEYS[kind](published, path)
    tokens = tokens_of(published, "/redirected" if kind == "a redirection" else "/keys")
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER))
    assert len(published.asked) == 1


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b'{"issuer":"https://evil.example","jwks_uri":"URL/keys"}',
        b'{"issuer":"ISSUER"}',
        b'{"jwks_uri":"URL/keys"}',
    ]
    + [
        b'{"issuer":"ISSUER","jwks_uri":"%s"}' % url
        for url in (b"file:///etc/passwd", b"http://192.0.2.1/keys", b"ftp://x", b"")
    ],
)
def test_a_discovery_document_of_somebody_else_or_to_elsewhere_is_not_followed(
    published: Published, issuer: Issuer, document: bytes
) -> None:
    url = published.url.encode()
    published.answer = lambda path: (
        (200, document.replace(b"ISSUER", url).replace(b"URL", url)) if "known" in path else published.documents(path)
    )
    tokens = AccessTokens(published.url, AUDIENCE, FetchedKeys(published.url, None))
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER, iss=published.url))
    assert published.asked == ["/.well-known/openid-configuration"]


def test_an_issuer_that_hangs_is_not_waited_for(
    published: Published, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "FETCH_TIMEOUT", 0.2)
    released = threading.Event()

    def hang(path: str) -> tuple[int, bytes]:
        released.wait()
        return published.documents(path)

    published.answer = hang
    try:
        with pytest.raises(Unavailable):
            tokens_of(published).identity(issuer.token(OWNER))
    finally:
        released.set()


@pytest.mark.parametrize(("late", "taken"), [(-0.5, True), (0.0, False), (0.5, False)])
def test_what_comes_after_the_time_for_it_is_not_taken(
    published: Published, clock: Clock, late: float, taken: bool
) -> None:
    def answer(path: str) -> tuple[int, bytes]:
        clock.now += NET + late
        return published.documents(path)

    published.answer = answer
    with nullcontext() if taken else pytest.raises(TimeoutError):
        found = issuer_keys.fetched(f"{published.url}/keys", clock.now + NET)
        assert found == json.loads(published.issuer.jwks)


def test_an_issuer_that_hangs_up_is_not_asked_again(published: Published, issuer: Issuer) -> None:
    def hang_up(path: str) -> tuple[int, bytes]:
        raise ConnectionAbortedError

    published.answer = hang_up
    with pytest.raises(Unavailable):
        tokens_of(published).identity(issuer.token(OWNER))
    assert published.asked == ["/keys"]


def test_the_figures_are_those_that_are_promised() -> None:
    """Every other test takes them from the code."""
    assert (FETCH_TIMEOUT, RETRY_AFTER, UNKNOWN_FOR, FRESH_FOR, STALE_FOR) == (2.0, 30, 300, 600, 86_400)
    assert (issuer_keys.MAX_KEYS, issuer_keys._MAX_BYTES, issuer_keys._MIN_BITS) == (32, 65_536, 2_048)
    figures = access_tokens.MAX_LENGTH, access_tokens.MAX_NAME, access_tokens.MAX_LIFETIME, access_tokens.LEEWAY
    assert figures == (4_096, 255, 3_600, 30)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        *(
            (url, True)
            for url in ("https://x.example/keys", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]/")
        ),
        *((url, False) for url in ("http://x.example/", "http://127.0.0.1.x.example/", "ftp://127.0.0.1/", "file:///")),
        *((url, False) for url in ("httpsx://x.example", "wss://x.example", "127.0.0.1", "http:///keys")),
        *((url, False) for url in ("ws://127.0.0.1/", "httpx://localhost/", "HTTPX://[::1]/")),
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url: str, taken: bool) -> None:
    assert issuer_keys.is_trustworthy(url) == taken


def test_a_document_of_exactly_64_kb_is_read(published: Published, issuer: Issuer) -> None:
    published.answer = lambda _: (200, published.issuer.jwks.encode().ljust(65_536))
    assert tokens_of(published).identity(issuer.token(OWNER))


def test_keys_that_nobody_asked_for_in_days_are_too_old(published: Published, issuer: Issuer, clock: Clock) -> None:
    tokens = tokens_of(published)
    assert tokens.identity(issuer.token(OWNER))
    published.answer = published.down
    clock.now += 2 * STALE_FOR
    with pytest.raises(Unavailable):
        tokens.identity(issuer.token(OWNER))


def test_of_a_document_32_keys_are_taken(issuer: Issuer) -> None:
    (own,) = json.loads(issuer.jwks)["keys"]
    keys = GivenKeys(json.dumps({"keys": [{**own, "kid": str(number)} for number in range(1, 34)]}))
    assert [keys.get(str(number)) is not None for number in (1, 32, 33)] == [True, True, False]


def test_a_longer_key_is_as_good(issuer: Issuer) -> None:
    longer = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 3_072).public_key(), as_dict=True)
    assert GivenKeys(json.dumps({"keys": [{**longer, "kid": "longer"}]})).get("longer") is not None


@pytest.mark.parametrize("form", ["QQ", "Qw", "QUE"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_part_of_a_token_has_one_spelling(form: str, place: int) -> None:
    """Base64 leaves two or four bits of its last digit open, so a part could be told in 4 or 16 ways."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [
        form[:-1] + digit
        for digit in digits
        if urlsafe_b64decode(form[:-1] + digit + "==") == urlsafe_b64decode(form + "==")
    ]
    assert len(same) == (4 if len(form) == 3 else 16)
    taken = [access_tokens.is_compact(".".join(["QQ"] * place + [part] + ["QQ"] * (2 - place))) for part in same]
    assert [part for part, is_taken in zip(same, taken, strict=True) if is_taken] == [form]


@pytest.mark.parametrize("length", [1, 5, 9])
def test_a_part_of_a_length_that_encodes_nothing_is_none(length: int) -> None:
    assert not access_tokens.is_compact(f"QQ.QQ.{'A' * length}")


def test_a_token_may_have_4096_characters() -> None:
    assert access_tokens.is_compact(f"QQ.QQ.{'QUFB' * 1_022}QQ")
    assert not access_tokens.is_compact(f"QQ.QQ.{'QUFB' * 1_022}QUE")


@pytest.mark.parametrize(("length", "taken"), [(0, False), (1, True), (255, True), (256, False), (300, False)])
def test_a_subject_has_a_name_of_1_to_255_characters(length: int, taken: bool) -> None:
    assert access_tokens.is_name("x" * length) == taken


@pytest.mark.parametrize(
    ("seconds", "taken"), [(-1, False), (0, False), (1, True), (2, True), (3_600, True), (3_601, False)]
)
def test_a_token_lives_for_1_to_3600_seconds(
    published: Published, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, seconds: int, taken: bool
) -> None:
    now = int(time.time())
    at(monkeypatch, now)
    token = Forge(issuer)(claims={"iat": now, "exp": now + seconds})
    assert (tokens_of(published).identity(token) is not None) == taken


def test_keys_that_cannot_sign_access_tokens_are_left_out(issuer: Issuer) -> None:
    (own,) = json.loads(issuer.jwks)["keys"]
    short = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1_024).public_key(), as_dict=True)
    private = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 2_048), as_dict=True)
    useless: list[Any] = [
        {**own, "kid": None},
        {name: value for name, value in own.items() if name != "kid"},
        {**own, "kid": "enc", "use": "enc"},
        {**own, "kid": "use", "use": "zzz"},
        {**own, "kid": "alg", "alg": "RS512"},
        {**own, "kid": "alg", "alg": "ES256"},
        {**own, "kid": "ops", "key_ops": ["encrypt"]},
        {**own, "kid": "ops", "key_ops": 1},
        {**own, "kid": "kty", "kty": "EC"},
        {**own, "kid": "kty", "kty": "RSAA"},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
        {**own, "kid": "n", "n": "!"},
        {**short, "kid": "short"},
        {**private, "kid": "private", "key_ops": ["verify"]},
        "key",
        1,
    ]
    for key in useless:
        with pytest.raises(ValueError):
            GivenKeys(json.dumps({"keys": [key]}))
    keys = GivenKeys(json.dumps({"keys": [*useless, own]}))
    assert keys.get(own["kid"]) is not None
    for key in useless:
        name = key.get("kid") if isinstance(key, dict) else None
        assert not isinstance(name, str) or keys.get(name) is None
