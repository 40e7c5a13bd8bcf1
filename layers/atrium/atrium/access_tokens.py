"""Access tokens of an OpenID Connect issuer: JSON Web Tokens as RFC 9068 has them, checked as RFC 8725 asks.

One algorithm, one issuer, one audience; the compact form in its one spelling; a header of `alg`, `typ` and `kid` and
nothing else. What is taken from a token is its `iss` and `sub`. Whose they are, the table says.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

from atrium import documents
from atrium.issuer_keys import FetchedKeys, GivenKeys
from atrium.settings import settings

# Every OpenID Connect issuer has it (OpenID Connect Core 1.0, section 15.1).
ALGORITHM = "RS256"

MAX_LENGTH = 4_096
MAX_NAME = 255
# Seconds. An access token is not revoked, it ends: so one that lives longer than this is refused.
MAX_LIFETIME = 3_600
# Seconds that the issuer's clock may differ from ours.
LEEWAY = 30

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = {"alg", "typ", "kid"}
# RFC 9068, section 2.1: with it, no ID token passes for an access token.
_TYPES = {"at+jwt", "application/at+jwt"}
_CLAIMS = ["iss", "aud", "exp", "iat", "sub"]


class Identity(NamedTuple):
    """Who a token is about: a subject, by the name that an issuer has for it."""

    issuer: str
    subject: str


class Keys(Protocol):
    def get(self, kid: str) -> Any | None:
        """The public key of a name, None if there is none. Raises Unavailable."""


@dataclass(frozen=True)
class AccessTokens:
    """The tokens of `issuer` for `audience`; of those with `scope` alone, unless that is empty."""

    issuer: str
    audience: str
    keys: Keys
    scope: str = ""

    def identity(self, token: str) -> Identity | None:
        """Who the token is about; None if it is not valid here and now. Raises Unavailable."""
        if not is_compact(token):
            return None
        kid = _kid(token)
        key = self.keys.get(kid) if kid else None
        claims = self._claims(token, key) if key else None
        if claims is None or not _is_short_lived(claims) or not is_name(claims["sub"]):
            return None
        # Good only with a proof of a key of its own (RFC 7800), and nothing here checks such a proof.
        if "cnf" in claims or (self.scope and self.scope not in _scopes(claims)):
            return None
        return Identity(claims["iss"], claims["sub"])

    def _claims(self, token: str, key: Any) -> dict[str, Any] | None:
        # Only here: the library takes longer to import than a route takes to answer.
        import jwt

        if _part(token, 1) is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY,
                options={"require": _CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, ArithmeticError):
            return None
        return claims


@cache
def access_tokens() -> AccessTokens | None:
    """Those that this process takes, None if it takes none."""
    issuer, keys = settings().jwt_issuer, settings().jwt_jwks
    if not issuer:
        return None
    found = GivenKeys(keys) if keys.startswith("{") else FetchedKeys(issuer, keys or None)
    return AccessTokens(issuer, settings().jwt_audience, found, settings().jwt_scope)


def is_compact(text: str) -> bool:
    """Whether a text has the form of a signed token. Each of its parts has but one spelling."""
    return len(text) <= MAX_LENGTH and _FORM.fullmatch(text) is not None and all(map(_is_canonical, text.split(".")))


def is_name(value: Any) -> bool:
    """Whether a value can be the name of a subject."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME and documents.is_text(value)


def _is_canonical(part: str) -> bool:
    if len(part) % 4 == 1:
        return False
    return urlsafe_b64encode(urlsafe_b64decode(part + "==")).rstrip(b"=").decode() == part


def _part(token: str, number: int) -> dict[str, Any] | None:
    """The header (0) or the claims (1), in JSON without double meanings; None if they are something else."""
    text = token.split(".")[number]
    try:
        value = documents.parse(urlsafe_b64decode(text + "==").decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _kid(token: str) -> str | None:
    """The name of the key that signed the token, says its header; None if that is not a header as it has to be."""
    header = _part(token, 0)
    if header is None or header.keys() != _HEADER or header["alg"] != ALGORITHM:
        return None
    typ, kid = header["typ"], header["kid"]
    return kid if isinstance(typ, str) and typ.lower() in _TYPES and is_name(kid) else None


def _scopes(claims: dict[str, Any]) -> set[str]:
    """The scopes of the token: `scope` is a text with blanks (RFC 9068, section 2.2.3); issuers that are older than
    that have `scp`, a text or a list."""
    found: set[str] = set()
    for value in (claims.get("scope"), claims.get("scp")):
        if isinstance(value, str):
            found.update(value.split(" "))
    if isinstance(listed := claims.get("scp"), list):
        found.update(each for each in listed if isinstance(each, str))
    return found


def _is_short_lived(claims: dict[str, Any]) -> bool:
    issued, expires = claims["iat"], claims["exp"]
    # bool is an int; no issuer means it.
    return type(issued) is int and type(expires) is int and 0 < expires - issued <= MAX_LIFETIME
