"""Forged and mutated access tokens, and tokens without the configured scope, are refused."""

import random
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from atrium.api.headers import OWS
from local.functions import FunctionFailed, call
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.template import Template
from tests.support.client import World
from tests.support.forgery import ATTACKS, OWNER, Forge, encoded
from tests.support.tokens import ASKED, bearer, status
from tests.support.trace import Trace
from tests.support.world import Count, full, inline


@pytest.mark.parametrize("attack", ATTACKS)
def test_forged_token_is_refused_without_a_write(
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


def test_token_without_an_attack_is_accepted(world: World, issuer: Issuer) -> None:
    assert status(world, Forge(issuer)()) == 200
    assert len(ATTACKS) >= 60


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
def test_token_without_the_configured_scope_is_refused(
    scoped: World, issuer: Issuer, claims: dict[str, Any], expected: int
) -> None:
    assert status(scoped, issuer.token(OWNER, **claims)) == expected
    assert scoped("GET", "/v1/me").status == 200, "a secret of Atrium's own has none"


def test_mutation_of_a_token_is_refused(
    shared: tuple[World, Trace], issuer: Issuer, taking: Template, count: Count
) -> None:
    """Calls the authorizer as API Gateway does."""
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
    """Flips one bit of a decoded part."""
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
