"""The public keys of the issuer of access tokens, by their `kid`: given once and for all, or fetched and kept.

A token names its key before anybody knows whether the token is worth anything. So nothing in it decides where keys
come from, and no number of made-up names causes more than one fetch in RETRY_AFTER.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from atrium import documents
from atrium.errors import Unavailable

# Keys this old are fetched anew, so that one the issuer withdraws is no longer taken after so many seconds …
FRESH_FOR = 600
# … unless the issuer is down: then its keys are taken for as long as this.
STALE_FOR = 24 * 3_600
# No fetch begins earlier than this after the one before it, whatever came of that.
RETRY_AFTER = 30
# A name that the fetched keys do not have causes no fetch for so long.
UNKNOWN_FOR = 300
# Nothing of a fetch is begun later than so many seconds after its begin, and nothing waits for longer.
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
    """The keys that an issuer publishes. `url` is where its JWKS document is; without one, where the issuer's OpenID
    Connect discovery document says.
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
        """The key of a name, None if the issuer has none of it. Raises Unavailable while that cannot be told."""
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
            # The keys from before are still there, and still good for a while.
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
    # Only here, so that a process that never sees an access token does not wait for it.
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
            # A piece at a time: each would be waited for anew, were the answer read at once.
            while piece := answer.read1(_MAX_BYTES):
                content += piece
                _left(until)
                if len(content) > _MAX_BYTES:
                    raise ValueError("too large")
            return documents.parse(content.decode())
    except urllib3.exceptions.HTTPError as error:
        raise OSError(type(error).__name__) from None


def is_trustworthy(url: str) -> bool:
    """Whether what comes from a URL is what its host sent: over TLS, or from this machine."""
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
    """Whether a key says of itself that it is one of a name, for signatures of our algorithm."""
    return (
        isinstance(given, dict)
        and isinstance(given.get("kid"), str)
        and given.get("use", "sig") == "sig"
        and given.get("alg", "RS256") == "RS256"
        and given.get("key_ops", ["verify"]) == ["verify"]
    )
