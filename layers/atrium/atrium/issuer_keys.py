"""The public keys of the issuer of access tokens, by their `kid`: configured, or fetched and cached.

A token names its key before it is verified. So no part of a token decides where keys come from, and any number of
made-up names causes at most one fetch in RETRY_AFTER.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from atrium import documents
from atrium.errors import Unavailable

# Keys of this age (in seconds) are fetched anew, so that a key the issuer withdraws is refused by then …
FRESH_FOR = 600
# … unless the issuer is down: then its keys are accepted up to this age.
STALE_FOR = 24 * 3_600
# The least seconds from the begin of a fetch to the begin of the next, whether it succeeded or not.
RETRY_AFTER = 30
# Seconds for which a name that the fetched keys do not have causes no other fetch.
UNKNOWN_FOR = 300
# Seconds after which a fetch begins no other step and waits no longer.
FETCH_TIMEOUT = 2.0

MAX_KEYS = 32
_MAX_BYTES = 64 * 1024
_MIN_BITS = 2_048

# Reads a document at a URL before a moment of the monotonic clock. Raises OSError or ValueError.
Fetch = Callable[[str, float], Any]


class GivenKeys:
    """The keys of a JWKS document. Raises ValueError for one without a usable key."""

    def __init__(self, text: str) -> None:
        self._keys = _usable(documents.parse(text))

    def get(self, kid: str) -> Any | None:
        return self._keys.get(kid)


class FetchedKeys:
    """The keys that an issuer publishes, in the JWKS document at `url`, or at the URL in the issuer's OpenID Connect
    discovery document.
    """

    def __init__(self, issuer: str, url: str | None, fetch: Fetch | None = None) -> None:
        self._issuer = issuer
        self._url = url
        self._fetch = fetch or fetched
        self._keys: dict[str, Any] = {}
        self._unknown: dict[str, float] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def get(self, kid: str) -> Any | None:
        """The key with this name, None if the issuer has none. Raises Unavailable while its keys are not known."""
        now = time.monotonic()
        if self._is_due(kid, now):
            self._refresh(now)
            if self._fetched_at == now and kid not in self._keys:
                self._unknown = {name: until for name, until in self._unknown.items() if until > now}
                self._unknown[kid] = now + UNKNOWN_FOR
        if self._fetched_at is None or now - self._fetched_at >= STALE_FOR:
            raise Unavailable
        if kid not in self._keys and self._tried_at != self._fetched_at:
            raise Unavailable
        return self._keys.get(kid)

    def _is_due(self, kid: str, now: float) -> bool:
        if self._tried_at is not None and now - self._tried_at < RETRY_AFTER:
            return False
        if self._fetched_at is None or now - self._fetched_at >= FRESH_FOR:
            return True
        return kid not in self._keys and self._unknown.get(kid, now) <= now

    def _refresh(self, now: float) -> None:
        self._tried_at = now
        until = now + FETCH_TIMEOUT
        try:
            self._keys = _usable(self._fetch(self._url or self._discovered(until), until))
        except (OSError, ValueError):
            # The keys of the last fetch stay, and are accepted for a while.
            return
        self._fetched_at = now

    def _discovered(self, until: float) -> str:
        """OpenID Connect Discovery 1.0, section 4. Raises OSError or ValueError."""
        found = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", until)
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            raise ValueError("not the document of this issuer")
        url = found.get("jwks_uri")
        if not isinstance(url, str):
            raise ValueError("says nothing of keys")
        return url


def fetched(url: str, until: float) -> Any:
    """The JSON document at a URL. Redirections are not followed. Raises OSError or ValueError."""
    # Imported late, so that a process without access tokens does not wait for it.
    import urllib3

    if not is_trustworthy(url):
        raise ValueError("neither https nor this machine")
    pool = urllib3.PoolManager(ssl_context=ssl.create_default_context())
    try:
        with pool.request(
            "GET",
            url,
            headers={"Accept": "application/json"},
            timeout=urllib3.Timeout(total=_left(until)),
            retries=False,
            preload_content=False,
        ) as answer:
            if answer.status != 200:
                raise ValueError("the answer is not 200")
            content = b""
            # Read piece by piece: reading at once would start the time-out anew for each piece.
            while piece := answer.read1(_MAX_BYTES):
                content += piece
                _left(until)
                if len(content) > _MAX_BYTES:
                    raise ValueError("too large")
            return documents.parse(content.decode())
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None


def is_trustworthy(url: str) -> bool:
    """Whether an answer from a URL is authentic: over TLS, or from this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _usable(document: Any) -> dict[str, Any]:
    """The keys of a JWKS document that sign access tokens. Raises ValueError if there are none."""
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    listed = document.get("keys") if isinstance(document, dict) else None
    found: dict[str, Any] = {}
    for given in (listed if isinstance(listed, list) else [])[:MAX_KEYS]:
        if not _signs(given):
            continue
        try:
            key = PyJWK(given, algorithm="RS256").key
        except PyJWTError:
            continue
        if key.key_size >= _MIN_BITS and not hasattr(key, "private_numbers"):
            found[given["kid"]] = key
    if not found:
        raise ValueError("no key that signs access tokens")
    return found


def _signs(given: Any) -> bool:
    """Whether a key has a name, and is declared for signatures of our algorithm or for no special use."""
    return (
        isinstance(given, dict)
        and isinstance(given.get("kid"), str)
        and given.get("use", "sig") == "sig"
        and given.get("alg", "RS256") == "RS256"
        and given.get("key_ops", ["verify"]) == ["verify"]
    )
