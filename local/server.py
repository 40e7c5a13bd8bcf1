"""The gateway behind an HTTP server."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from local.gateway import MAX_BODY_BYTES, Gateway, Reply, Request
from local.loopback import MISDIRECTED, says_this_machine
from local.terminal import say

# Requests wait in these threads for a worker process, as they would for a Lambda environment.
THREADS = 64


_MISDIRECTED = Reply(
    421,
    [("Content-Type", "application/json")],
    json.dumps({"error": MISDIRECTED, "detail": MISDIRECTED}).encode(),
    request_id="-",
)


class Server(uvicorn.Server):
    """Serves a gateway on a listening socket; calls `ready` once it accepts requests."""

    def __init__(self, gateway: Gateway, ready: Callable[[], None]) -> None:
        # The gateway prints its own access log. No proxy is in front of this server, so X-Forwarded headers are
        # ignored.
        super().__init__(
            uvicorn.Config(_app(gateway), log_level="warning", lifespan="off", access_log=False, proxy_headers=False)
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _app(gateway: Gateway) -> Callable[..., Awaitable[None]]:
    """The gateway as an ASGI application."""
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway")

    async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        query = scope["query_string"].decode("latin-1")
        request = Request(
            method=scope["method"],
            target=scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            body=await _body(receive),
            source_ip=scope["client"][0],
        )
        if says_this_machine([value for name, value in request.headers if name == "host"]):
            reply = await asyncio.get_running_loop().run_in_executor(threads, gateway.handle, request)
        else:
            reply = _MISDIRECTED
        await _send(send, request, reply)
        _log(request, reply, time.perf_counter() - began)

    return app


async def _body(receive: Callable[..., Any]) -> bytes:
    """The body; if it exceeds the limit, only enough of it for the gateway to notice."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if len(body) <= MAX_BODY_BYTES:
            body += message.get("body", b"")
    return bytes(body)


async def _send(send: Callable[..., Any], request: Request, reply: Reply) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else reply.body})


def _log(request: Request, reply: Reply, seconds: float) -> None:
    path = request.target.partition("?")[0]
    replayed = any(name.lower() == "idempotent-replayed" for name, _ in reply.headers)
    line = f"{request.method} {path} {reply.status} {seconds * 1000:.0f} ms"
    say(f"{line} {reply.request_id}{' replayed' if replayed else ''}")
