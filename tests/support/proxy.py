"""A proxy in front of DynamoDB Local: sees every call, from whichever process it comes, and can do what a network
does.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from local.loopback import Handler, listening

# What a hook says before a call is forwarded, or when the engine has answered it: None to go on, or an error's code to
# answer in its place; a number is the status of a front end's answer, which is no error of the service's. A hook that
# raises ConnectionResetError ends the connection without an answer.
Hook = Callable[[str, dict[str, Any]], str | None]


class Proxy:
    """`before` may answer a call with an error; `after` runs when the engine has answered and the caller not yet.

    With `conflicts` the proxy answers a transaction that meets another one in flight on one of its items with
    TransactionConflict, as DynamoDB does and DynamoDB Local never. How long the other one is in flight is up to the
    machine, so after MOST_CONFLICTS a transaction waits for it. `delay` keeps transactions in flight for longer.
    """

    MOST_CONFLICTS = 3

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.calls: list[str] = []
        self.before: Hook = lambda operation, request: None
        self.after: Hook = lambda operation, request: None
        self.conflicts = False
        self.delay = 0.0
        self.conflicted = 0
        self._upstream = urlsplit(upstream).netloc
        self._in_flight: set[str] = set()
        self._landed = threading.Condition()
        self._refused: Counter[str] = Counter()

    def exchange(self, headers: dict[str, str], body: bytes, connection: HTTPConnection) -> tuple[int, Any, bytes]:
        operation = headers["X-Amz-Target"].rpartition(".")[2]
        request = json.loads(body)
        self.calls.append(operation)
        error = self.before(operation, request)
        if error == "TransactionConflict" and operation.startswith("Transact"):
            return _cancelled(len(request["TransactItems"]))
        if error:
            return _error(error)
        touched = _items(request) if self.conflicts and operation.startswith("Transact") else set()
        # Reads hold up no other call.
        held = touched if operation == "TransactWriteItems" else set()
        with self._landed:
            while touched & self._in_flight:
                token = request.get("ClientRequestToken", str(touched))
                if self._refused[token] < self.MOST_CONFLICTS:
                    self._refused[token] += 1
                    self.conflicted += 1
                    return _cancelled(len(request["TransactItems"]))
                self._landed.wait()
            self._in_flight |= held
        try:
            if held:
                time.sleep(self.delay)
            answer = sent(connection, headers, body)
            content = answer.read()
            error = self.after(operation, request)
            if error:
                return _error(error)
            return answer.status, answer.getheaders(), content
        finally:
            with self._landed:
                self._in_flight -= held
                self._landed.notify_all()

    @contextmanager
    def served(self) -> Iterator["Proxy"]:
        proxy = self

        class Front(Handler):
            def setup(self) -> None:
                super().setup()
                self.upstream = HTTPConnection(proxy._upstream)

            def finish(self) -> None:
                self.upstream.close()
                super().finish()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                status, headers, content = proxy.exchange(kept, body, self.upstream)
                self.reply(status, content, **{name: value for name, value in headers if name.lower() not in _OWN})

        with listening(Front, "proxy") as self.url:
            yield self


# The body of an answer that a front end gives by itself. With 500 there is none.
FRONT_END = b"<html><body><h1>Service Temporarily Unavailable</h1></body></html>"

# Headers of one connection, not of the answer.
_OWN = ("content-length", "transfer-encoding", "date", "server", "connection")


def sent(connection: HTTPConnection, headers: dict[str, str], body: bytes) -> HTTPResponse:
    """The engine closes connections that nothing was sent on for a while. That is not what is tested."""
    try:
        connection.request("POST", "/", body, headers)
        return connection.getresponse()
    except ConnectionError:
        connection.close()
        connection.request("POST", "/", body, headers)
        return connection.getresponse()


def _items(request: dict[str, Any]) -> set[str]:
    keys = set()
    for action in request["TransactItems"]:
        for write in action.values():
            key = write.get("Key") or write["Item"]
            keys.add(f"{key['pk']['S']} {key['sk']['S']}")
    return keys


def _cancelled(count: int) -> tuple[int, Any, bytes]:
    reasons = [{"Code": "TransactionConflict"}] + [{"Code": "None"}] * (count - 1)
    return _error("TransactionCanceledException", CancellationReasons=reasons)


def _error(code: str, **more: Any) -> tuple[int, Any, bytes]:
    if code.isdigit():
        return int(code), [("Content-Type", "text/html")], FRONT_END if code != "500" else b""
    status = 500 if code == "InternalServerError" else 400
    answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more}
    return status, [("Content-Type", "application/x-amz-json-1.0")], json.dumps(answer).encode()
