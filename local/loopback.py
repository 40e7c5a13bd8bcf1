"""Small HTTP servers on free ports of this machine, and the rule which requests all servers here accept."""

import json
import re
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# The accepted Host headers: an address, or a name with a fixed meaning. Any other name may belong to a stranger who
# points it at this machine, so that a web page reaches these servers from the user's browser (DNS rebinding). The
# pattern is valid in Python and in Java.
THIS_MACHINE = r"(?i)(localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-f:.]+\]|host\.(docker|containers)\.internal)(:[0-9]+)?"
MISDIRECTED = "The Host header does not say this machine: call it by an address, or localhost."
UNRECOGNIZED = "The request is not signed with the access key id of this instance, which is in its endpoints.json."

_THIS_MACHINE = re.compile(THIS_MACHINE)


def says_this_machine(hosts: Sequence[str]) -> bool:
    """Whether a request has exactly one Host header, and that one is this machine."""
    return len(hosts) == 1 and _THIS_MACHINE.fullmatch(hosts[0]) is not None


def signed_with(access_key_id: str) -> str:
    """The beginning of the Authorization header of a request signed with an access key id."""
    return f"AWS4-HMAC-SHA256 Credential={access_key_id}/"


class Handler(BaseHTTPRequestHandler):
    """Answers GET and POST by `answer`, and refuses requests whose Host is not this machine. It speaks HTTP/1.1, logs
    nothing, and tolerates callers that have gone, as those that were ended have.
    """

    protocol_version = "HTTP/1.1"

    # The content is sent at once, not when the client has acknowledged the headers, for which it takes 40 ms.
    disable_nagle_algorithm = True

    @abstractmethod
    def answer(self) -> None:
        """Ends with `reply`, or with self.close_connection set."""

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def _take(self) -> None:
        if says_this_machine(self.headers.get_all("Host", [])):
            self.answer()
        else:
            self.refuse(421, "AccessDeniedException", MISDIRECTED)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answers a request in the form of AWS's JSON protocols."""
        # Closing a connection with unread data may lose the answer.
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 65_536))
        self.close_connection = True
        self.reply(status, json.dumps({"__type": code, "message": message}).encode(), Connection="close")

    def reply(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(handler: type[Handler], name: str, port: int = 0) -> Iterator[str]:
    """Serves until the context ends, in a thread called `name`, on a free port if none is given; yields the base URL.
    Raises OSError if the given port is in use.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name=name, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
