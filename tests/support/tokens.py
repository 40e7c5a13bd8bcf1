"""Helpers of the tests of access tokens: requests with a token, a served issuer, a clock for its keys."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from atrium import issuer_keys
from atrium.access_tokens import AccessTokens
from atrium.issuer_keys import FetchedKeys
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.loopback import Handler, listening
from tests.support.client import World


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


# What an authorizer is asked, without the headers.
ASKED = {
    "methodArn": "arn:aws:execute-api:r:a:api/stage/GET/x",
    "httpMethod": "GET",
    "resource": "/x",
    "requestContext": {"requestId": "r"},
}


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


def tokens_of(published: Published, url: str | None = "/keys") -> AccessTokens:
    return AccessTokens(ISSUER, AUDIENCE, FetchedKeys(ISSUER, url and published.url + url))
