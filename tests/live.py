"""A world behind a socket, for clients that speak HTTP themselves."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.server import Server
from tests.client import World


@contextmanager
def served(world: World) -> Iterator[str]:
    """The base URL of the world's gateway behind an HTTP server."""
    assert world.gateway is not None
    ready = threading.Event()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(world.gateway, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
