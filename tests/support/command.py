"""The command line as tests run it, and a server between it and the API that can fail."""

import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from atrium_cli.app import app
from local.loopback import Handler
from tests.support.client import World


@dataclass(frozen=True)
class Done:
    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def seen(self) -> tuple[int, str, str]:
        return self.exit, self.out, self.err


class Atrium:
    """Runs commands in this process. `directory` has the data of a laptop's instance and the user's configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = environment(directory)

    def serves(self, world: World, url: str) -> None:
        """Writes what `make run` writes."""
        data = Path(self.environment["DATA_DIR"])
        data.mkdir(exist_ok=True)
        (data / "dev.json").write_text(json.dumps({"base_url": url, **world.dev}))

    def __call__(self, *words: str, stdin: str = "", **more: str) -> Done:
        unset = dict.fromkeys(("ATRIUM_URL", "ATRIUM_TOKEN", "ATRIUM_PROFILE", "COLUMNS", "FORCE_COLOR", "NO_COLOR"))
        result = CliRunner().invoke(
            app, words, prog_name="atrium", input=stdin, env={**unset, **self.environment, **more}
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def made(self, *words: str, **more: str) -> Any:
        """The answer of a command that succeeds."""
        done = self(*words, "--json", **more)
        assert (done.exit, done.err) == (0, ""), done
        return done.json


def environment(directory: Path) -> dict[str, str]:
    """Of a user whose home and data are there."""
    return {
        "HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory / ".config"),
        "DATA_DIR": str(directory / "data"),
    }


# The fate of a request: it is carried out ("lost"), or not ("unsent"), and the connection ends without an answer;
# this status is the answer, at once; it is passed on without its cursor ("anew"); or nothing (None).
Fault = str | int | None


class Between:
    """A server that passes requests on to a world. `faults` are for the next requests, one each; `seen` are those that
    arrived: method, target, and the Idempotency-Key."""

    def __init__(self, world: World) -> None:
        self.faults: deque[Fault] = deque()
        self.seen: list[tuple[str, str, str | None]] = []
        between = self

        class Passing(Handler):
            def do_PATCH(self) -> None:  # noqa: N802
                self.answer()

            def do_DELETE(self) -> None:  # noqa: N802
                self.answer()

            def answer(self) -> None:
                between._answer(world, self)

        self._handler = Passing
        self._port = 0
        self.start()

    def start(self) -> None:
        """At the same port as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _answer(self, world: World, request: Handler) -> None:
        self.seen.append((request.command, request.path, request.headers["Idempotency-Key"]))
        fault = self.faults.popleft() if self.faults else None
        content = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if isinstance(fault, int):
            content = b"<html>" if fault == 200 else b'{"detail":"Busy."}'
            more = {"Location": f"{self.url}/elsewhere"} if fault == 302 else {}
            request.reply(fault, content, **more, Retry_After="7", X_Request_Id="r-1", X_Error_Code="try_again")
            return
        if fault != "unsent":
            hidden = ("host", "connection", "content-length")
            headers = [(name, value) for name, value in request.headers.items() if name.lower() not in hidden]
            target = re.sub("&cursor=[^&]*", "", request.path) if fault == "anew" else request.path
            answer = world.raw(request.command, target, headers, content)
        if fault in (None, "anew"):
            kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
            request.reply(answer.status, answer.content, **kept)
        request.close_connection = True


@contextmanager
def between(world: World) -> Iterator[Between]:
    made = Between(world)
    try:
        yield made
    finally:
        made.stop()
