"""Receivers of webhooks, on addresses of this machine's own: each keeps what it was sent and answers as it is told."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request: its headers in lower case, its body, and its target."""

    headers: Mapping[str, str]
    body: bytes
    target: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """A receiver at a URL. `answer` gives the status for a request, or a status with headers; or "hang" for no answer,
    "close" for a connection that ends without one, and "garbage" for one that is no HTTP. A request that hangs ends
    with the receiver."""

    url: str = ""
    answer: Callable[[Received], Any] = lambda _: 200
    received: list[Received] = field(default_factory=list)
    # How many connections were made.
    connections: int = 0

    @property
    def accepted(self) -> list[str]:
        """The ids of what was answered with 200, in order."""
        return [each.id for each in self._accepted]

    def __post_init__(self) -> None:
        self._accepted: list[Received] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        got = Received({name.lower(): value for name, value in handler.headers.items()}, body, handler.path)
        with self._lock:
            self.received.append(got)
            said = self.answer(got)
            if said == 200:
                self._accepted.append(got)
        handler.close_connection = True
        match said:
            case "hang":
                self._ended.wait()
            case "close":
                return
            case "garbage":
                handler.wfile.write(b"220 smtp.example.com ready\r\n")
            case _:
                status, headers = said if isinstance(said, tuple) else (said, {})
                handler.send_response(status)
                for name, value in {"Content-Length": "2", **headers}.items():
                    handler.send_header(name, value)
                handler.end_headers()
                handler.wfile.write(b"ok")

    def end(self) -> None:
        self._ended.set()


@contextmanager
def receivers(count: int) -> Iterator[list[Receiver]]:
    """So many receivers, each at an address of its own, so that each is a host."""
    with ExitStack() as stack:
        yield [stack.enter_context(_at(f"127.0.0.{place + 1}")) for place in range(count)]


@contextmanager
def receiver() -> Iterator[Receiver]:
    with receivers(1) as (one,):
        yield one


@contextmanager
def _at(address: str) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def process_request(self, request: Any, client_address: Any) -> None:
            receiver.connections += 1
            super().process_request(request, client_address)

        def handle_error(self, *_: Any) -> None:
            """A sender that is gone is no error of the receiver."""

    server = Server((address, 0), Handler)
    receiver.url = f"http://{address}:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.end()
        server.shutdown()
        server.server_close()
