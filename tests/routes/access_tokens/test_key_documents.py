"""The documents of an issuer: discovery, and which keys of its key set are accepted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from atrium import issuer_keys
from atrium.access_tokens import AccessTokens
from atrium.errors import Unavailable
from atrium.issuer_keys import FetchedKeys, GivenKeys
from local.functions import call
from local.issuer import AUDIENCE, Issuer
from local.template import Template
from tests.support.forgery import OWNER
from tests.support.tokens import Published, bearer, status, tokens_of
from tests.support.world import inline


@pytest.mark.parametrize(
    ("configured", "asked"),
    [("", ["/.well-known/openid-configuration", "/keys"]), ("/keys", ["/keys"])],
    ids=["by discovery", "configured"],
)
def test_keys_are_fetched_from_the_configured_or_discovered_url(
    published: Published, issuer: Issuer, engine: str, tmp_path: Path, configured: str, asked: list[str]
) -> None:
    """Runs the whole path once: over HTTP from a configured issuer."""
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
def test_answer_without_valid_keys_is_unavailable(published: Published, issuer: Issuer, kind: str) -> None:
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
def test_discovery_document_with_wrong_issuer_or_url_is_not_followed(
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
def test_keys_are_fetched_over_tls_or_from_loopback_only(url: str, taken: bool) -> None:
    assert issuer_keys.is_trustworthy(url) == taken


def test_document_of_exactly_64_kb_is_accepted(published: Published, issuer: Issuer) -> None:
    published.answer = lambda _: (200, published.issuer.jwks.encode().ljust(65_536))
    assert tokens_of(published).identity(issuer.token(OWNER))


def test_first_32_keys_of_a_document_are_used(issuer: Issuer) -> None:
    (own,) = json.loads(issuer.jwks)["keys"]
    keys = GivenKeys(json.dumps({"keys": [{**own, "kid": str(number)} for number in range(1, 34)]}))
    assert [keys.get(str(number)) is not None for number in (1, 32, 33)] == [True, True, False]


def test_key_of_3072_bits_is_accepted(issuer: Issuer) -> None:
    longer = RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 3_072).public_key(), as_dict=True)
    assert GivenKeys(json.dumps({"keys": [{**longer, "kid": "longer"}]})).get("longer") is not None


def test_keys_unfit_for_access_tokens_are_ignored(issuer: Issuer) -> None:
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
