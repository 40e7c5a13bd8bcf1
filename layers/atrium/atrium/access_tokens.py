"""Access tokens of an OpenID Connect issuer: JSON Web Tokens by RFC 9068, checked by RFC 8725.

One algorithm, one issuer and one audience are accepted, the compact form in its one spelling, and a header of `alg`,
`typ` and `kid` alone. A token gives its `iss` and `sub`; the table has the principal for them.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

from atrium import documents
from atrium.issuer_keys import FetchedKeys, GivenKeys
from atrium.settings import settings

# Every OpenID Connect issuer supports it (OpenID Connect Core 1.0, section 15.1).
ALGORITHM = "RS256"

MAX_LENGTH = 4_096
MAX_NAME = 255
# Seconds. An access token cannot be revoked, so one with a longer life is refused.
MAX_LIFETIME = 3_600
# Seconds that the issuer's clock may differ from ours.
LEEWAY = 30

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER = {"alg", "typ", "kid"}
# RFC 9068, section 2.1: the type tells an access token from an ID token.
_TYPES = {"at+jwt", "application/at+jwt"}
_CLAIMS = ["iss", "aud", "exp", "iat", "sub"]


class Identity(NamedTuple):
    """The subject of a token, under the name that an issuer has for it."""

    issuer: str
    subject: str


class Keys(Protocol):
    def get(self, kid: str) -> Any | None:
        """The public key with this name, None if there is none. Raises Unavailable."""


@dataclass(frozen=True)
class AccessTokens:
    """Accepts tokens of `issuer` for `audience`, with `scope` if that is not empty."""

    issuer: str
    audience: str
    keys: Keys
    scope: str = ""

    def identity(self, token: str) -> Identity | None:
        """The subject of the token; None if the token is not valid here and now. Raises Unavailable."""
        if not is_compact(token):
            return None
        kid = _kid(token)
        key = self.keys.get(kid) if kid else None
        claims = self._claims(token, key) if key else None
        if claims is None or not _is_short_lived(claims) or not is_name(claims["sub"]):
            return None
        # Valid only with the proof of a key (RFC 7800), which is not checked here.
        if "cnf" in claims or (self.scope and self.scope not in _scopes(claims)):
            return None
        return Identity(claims["iss"], claims["sub"])

    def _claims(self, token: str, key: Any) -> dict[str, Any] | None:
        # Imported late: the import takes longer than most requests.
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
    """The access tokens that this process accepts, None if it accepts none."""
    issuer, keys = settings().jwt_issuer, settings().jwt_jwks
    if not issuer:
        return None
    found = GivenKeys(keys) if keys.startswith("{") else FetchedKeys(issuer, keys or None)
    return AccessTokens(issuer, settings().jwt_audience, found, settings().jwt_scope)


def is_compact(text: str) -> bool:
    """Whether a text has the form of a signed token, each part in its one spelling."""
    return len(text) <= MAX_LENGTH and _FORM.fullmatch(text) is not None and all(map(_is_canonical, text.split(".")))


def is_name(value: Any) -> bool:
    """Whether a value can be the name of a subject."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME and documents.is_text(value)


def _is_canonical(part: str) -> bool:
    if len(part) % 4 == 1:
        return False
    return urlsafe_b64encode(urlsafe_b64decode(part + "==")).rstrip(b"=").decode() == part


def _part(token: str, number: int) -> dict[str, Any] | None:
    """The header (0) or the claims (1); None if they are no object in strict JSON."""
    text = token.split(".")[number]
    try:
        value = documents.parse(urlsafe_b64decode(text + "==").decode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _kid(token: str) -> str | None:
    """The name of the signing key from the token's header; None if the header is not as required."""
    header = _part(token, 0)
    if header is None or header.keys() != _HEADER or header["alg"] != ALGORITHM:
        return None
    typ, kid = header["typ"], header["kid"]
    return kid if isinstance(typ, str) and typ.lower() in _TYPES and is_name(kid) else None


def _scopes(claims: dict[str, Any]) -> set[str]:
    """The scopes of the token: `scope` is a text with blanks (RFC 9068, section 2.2.3); issuers from before that RFC
    have `scp`, a text or a list."""
    found: set[str] = set()
    for value in (claims.get("scope"), claims.get("scp")):
        if isinstance(value, str):
            found.update(value.split(" "))
    if isinstance(listed := claims.get("scp"), list):
        found.update(each for each in listed if isinstance(each, str))
    return found


def _is_short_lived(claims: dict[str, Any]) -> bool:
    issued, expires = claims["iat"], claims["exp"]
    # isinstance would accept a bool.
    return type(issued) is int and type(expires) is int and 0 < expires - issued <= MAX_LIFETIME
