"""A world behind a socket, for clients that speak HTTP themselves."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from local.gateway import Gateway, Reply, Request
from local.server import Server
from tests.support.client import World


class Staged(Gateway):
    """A gateway with the name of its stage in front of every path, as at an API's own address in AWS."""

    def __init__(self, gateway: Gateway, stage: str) -> None:
        vars(self).update(vars(gateway))
        self._prefix = stage

    def handle(self, request: Request) -> Reply:
        assert request.target.startswith(f"{self._prefix}/"), request.target
        return super().handle(replace(request, target=request.target.removeprefix(self._prefix)))

    def _event(self, exchange: Any) -> dict[str, Any]:
        event = super()._event(exchange)
        event["requestContext"]["path"] = self._prefix + event["requestContext"]["path"]
        return event


@contextmanager
def served(world: World, stage: str = "") -> Iterator[str]:
    """The base URL of the world's gateway behind an HTTP server, the stage ("/prod") being part of it."""
    assert world.gateway is not None
    ready = threading.Event()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(Staged(world.gateway, stage), ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        ready.wait()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}{stage}"
        finally:
            server.should_exit = True
            thread.join()
