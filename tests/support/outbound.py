"""A request to a URL that a stranger chose reaches that stranger's server, and nothing inside Atrium's network.

The resolver and the connections of TCP are the tests' own: names have the addresses that a test gives them, and a
connection to any address leads to a server of the test, or is refused. Both are recorded.
"""

import _socket
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any, NamedTuple

from atrium.outbound import Answer, NotSent, Url, parsed, post
from tests.support.clock import NET

# An address that anyone may be sent to; no packet ever is.
PUBLIC = "93.184.216.34"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

LONG = b"HTTP/1.1 200 OK\r\nContent-Length: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Network:
    """`names` has the addresses of each name, a list for each look-up that is expected; the last one stays. `servers`
    has the port on this machine that an address and port lead to. Look-ups and connections are recorded.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.servers: dict[tuple[str, int], int] = {}
        self.looked_up: list[str] = []
        self.connections: list[tuple[str, int]] = []
        # Addresses that answer nothing, until the event.
        self.silent: dict[str, threading.Event] = {}

    def getaddrinfo(self, host: str, port: object, *_: Any, **__: Any) -> list[Any]:
        self.looked_up.append(host)
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            answers = self.names.get(host, [[]])
            addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, 0, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0))
            for each in addresses
        ]

    def connect(self, connecting: socket.socket, address: tuple[str, int]) -> None:
        self.connections.append(address)
        if address[0] in self.silent:
            self.silent[address[0]].wait(NET)
            raise TimeoutError
        if address not in self.servers:
            raise ConnectionRefusedError
        _socket.socket.connect(connecting, ("127.0.0.1", self.servers[address]))


class Serving(NamedTuple):
    """A server: `requests` are what it was sent; `ended` is set when one of its connections is over."""

    port: int
    requests: list[bytes]
    ended: threading.Event


@contextmanager
def serving(
    act: Callable[[socket.socket], object],
    context: ssl.SSLContext | None = None,
    reading: Callable[[socket.socket], bytes] | None = None,
) -> Iterator[Serving]:
    """A server on this machine that reads each request, whole if not said how, and then does `act` with the
    connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    served = Serving(listener.getsockname()[1], [], threading.Event())

    def serve(connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(NET)
                with context.wrap_socket(connection, server_side=True) if context else connection as spoken:
                    served.requests.append((reading or whole_request)(spoken))
                    act(spoken)
        except OSError:
            pass
        finally:
            served.ended.set()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield served
    finally:
        # A thread that waits for a connection would keep the listener open.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def whole_request(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += some(connection)
    head, _, body = read.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += some(connection)
    return head + b"\r\n\r\n" + body


def some(connection: socket.socket) -> bytes:
    if not (piece := connection.recv(65536)):
        raise ConnectionResetError
    return piece


def saying(answer: bytes) -> Callable[[socket.socket], object]:
    return lambda connection: connection.sendall(answer)


def without_end(first: bytes, then: bytes, every: float = 0.0) -> Callable[[socket.socket], object]:
    """Sends the first bytes, and then the others again and again until the connection is gone."""

    def act(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(then)
            time.sleep(every)

    return act


def local(served: Serving, target: str = "/hook") -> Url:
    return parsed(f"http://127.0.0.1:{served.port}{target}", loopback=True)


def ask(url: Url, *, loopback: bool = True) -> Answer | str:
    """The answer, or the reason that there is none."""
    try:
        return post(url, {"webhook-id": "e1"}, b"{}", loopback=loopback)
    except NotSent as error:
        return error.reason


def answer_to(act: Callable[[socket.socket], object]) -> Answer | str:
    with serving(act) as served:
        return ask(local(served))


@contextmanager
def no_thread_left() -> Iterator[None]:
    """At its end, all threads that were started inside have ended."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(NET)
        assert not thread.is_alive()
