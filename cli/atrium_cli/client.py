"""Requests over HTTP, sent again where that is safe.

The library is Python's own: one request at a time needs no other, `pip install` then brings what draws tables and
nothing else, and certificates and proxies are those of the system.
"""

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import NO_CONTENT, HTTPException
from importlib.metadata import PackageNotFoundError, version
from socket import gaierror
from ssl import SSLCertVerificationError
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request
from uuid import uuid4

from atrium_cli.failures import Exit, Failure, no_api, refusal
from atrium_cli.places import Place

# The answers after which the same request is sent again, with the same key: a write happens once, however often.
AGAIN = frozenset((429, 502, 503, 504))
# Seconds before each further attempt, where the answer does not say how many; shortened at random.
WAITS = (0.5, 1, 2, 4, 8)
# An answer that wants a longer pause gets this one.
MAX_WAIT = 60
# API Gateway has answered by then.
TIMEOUT = 35

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        """None for an answer without JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class _Lost(Exception):
    """No answer came: the request may have been carried out."""


class Client:
    """Raises Failure for every answer that is none of success."""

    pause = staticmethod(time.sleep)

    def __init__(self, place: Place) -> None:
        self._place = place
        # Without what follows redirections: an API leads nowhere, and the secret is for one host.
        self._opener = OpenerDirector()
        for handler in (ProxyHandler({} if place.is_here else None), HTTPHandler(), HTTPSHandler()):
            self._opener.add_handler(handler)

    def read(self, path: str, query: Query = ()) -> Any:
        """The body of an answer to GET."""
        return self.send("GET", path, query).body

    def send(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        key: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """Sends a request, several times at most; a write with one key each time."""
        headers = {
            "Authorization": f"Bearer {self._place.token}",
            "Accept": "application/json",
            "User-Agent": f"atrium-cli/{_version()}",
        }
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid4())
        if if_match is not None:
            headers["If-Match"] = if_match
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise Failure(Exit.USAGE, "An Idempotency-Key or ETag is in ASCII.")
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        url = f"{self._place.url}{path}{'?' if query else ''}{urlencode(query, errors='surrogateescape')}"
        # A Place has no other scheme than those of HTTP.
        answer = self._answer(Request(url, content, headers, method=method))  # noqa: S310
        if answer.status >= 300:
            raise refusal(answer.status, answer.headers, answer.body)
        if answer.status != NO_CONTENT and answer.body is None:
            raise no_api(self._place.url)
        return answer

    def _answer(self, request: Request) -> Answer:
        """The first answer that is neither lost nor asks to come again, or the last one."""
        for wait in (*WAITS, None):
            try:
                answer = self._once(request)
            except _Lost as lost:
                if wait is None:
                    raise Failure(Exit.UNREACHABLE, f"{self._place.url} does not answer: {lost}.") from None
                asked = ""
            else:
                if answer.status not in AGAIN or wait is None:
                    break
                asked = answer.headers.get("retry-after", "")
            self.pause(min(int(asked), MAX_WAIT) if asked.isdecimal() else wait * random.uniform(0.5, 1))
        return answer

    def _once(self, request: Request) -> Answer:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, headers, answer.read().decode(errors="replace"))
        except URLError as error:
            reason = error.reason
            if isinstance(reason, ConnectionRefusedError | gaierror | SSLCertVerificationError):
                # Nothing was sent, and nothing will be better in a moment.
                raise Failure(Exit.UNREACHABLE, f"{self._place.url} cannot be reached: {_why(reason)}.") from None
            raise _Lost(_why(reason)) from error
        except (OSError, HTTPException) as fault:
            raise _Lost(_why(fault)) from fault


def _why(fault: object) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return str(fault) or type(fault).__name__


def _version() -> str:
    try:
        return version("atrium-cli")
    except PackageNotFoundError:  # from the repository, not installed
        return "0"
