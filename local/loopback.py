"""HTTP servers for one purpose, on a free port of this machine; and which requests any server here takes."""

import json
import re
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# A Host header that says this machine: an address, or a name that has a fixed meaning. Any other name may be a
# stranger's who lets it lead here, so that a page of his may talk to us from a browser on this machine (DNS rebinding).
# Written for Python and for Java.
THIS_MACHINE = r"(?i)(localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-f:.]+\]|host\.(docker|containers)\.internal)(:[0-9]+)?"
MISDIRECTED = "The Host header does not say this machine: call it by an address, or localhost."
UNRECOGNIZED = "The request is not signed with the access key id of this instance, which is in its endpoints.json."

_THIS_MACHINE = re.compile(THIS_MACHINE)


def says_this_machine(hosts: Sequence[str]) -> bool:
    """Whether the Host headers of a request are one, and that says this machine."""
    return len(hosts) == 1 and _THIS_MACHINE.fullmatch(hosts[0]) is not None


def signed_with(access_key_id: str) -> str:
    """How the Authorization header begins of a request that is signed with an access key id."""
    return f"AWS4-HMAC-SHA256 Credential={access_key_id}/"


class Handler(BaseHTTPRequestHandler):
    """Answers GET and POST by `answer`, and by itself what does not say this machine. It speaks HTTP/1.1, prints
    nothing, and takes it that a caller may be gone: one that was ended is.
    """

    protocol_version = "HTTP/1.1"

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
        # A connection that is closed before what it brings is read may lose the answer, too.
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
def listening(handler: type[Handler], name: str) -> Iterator[str]:
    """Serves for as long as it lasts: the base URL. `name` is that of its thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name=name, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
