"""`make webhook-sink` answers requests and tells of each, as a person sees it in the terminal."""

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from standardwebhooks import Webhook

from local.database import free_port
from local.template import ROOT
from tests.support.clock import NET
from tests.support.processes import wait_for

SECRET, OTHER = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))
BODY = '{"type":"project.created","id":"64a1"}'


@dataclass
class Sink:
    process: subprocess.Popen[str]
    path: Path

    @property
    def output(self) -> str:
        return self.path.read_text()

    @property
    def url(self) -> str:
        return self.output.partition("listens on ")[2].partition("/. ")[0]

    @property
    def told(self) -> list[str]:
        """The lines about requests, without their time."""
        return [line.split(" ", 1)[1] for line in self.output.partition("ends the sink.\n\n")[2].splitlines()]

    def post(self, content: str, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(f"{self.url}/", content=content, headers=headers, timeout=NET, trust_env=False)


Start = Callable[..., Sink]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sink on a free port, and ends it after the test."""
    started: list[Sink] = []

    def run(**variables: str) -> Sink:
        started.append(launched(tmp_path / f"output-{len(started)}", **variables))
        wait_for(lambda: "Ctrl-C ends the sink.\n\n" in started[-1].output)
        return started[-1]

    yield run
    for sink in started:
        sink.process.kill()
        sink.process.wait()


def launched(path: Path, **variables: str) -> Sink:
    given = {"PORT": str(free_port()), "DATA_DIR": str(path.parent / "data"), **variables}
    with path.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.sink"],
            cwd=ROOT,
            env={**os.environ, **given},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            # A run in the background ignores the signal, and so would what it starts.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
    return Sink(process, path)


def signed(*secrets: str, body: str = BODY, age: int = 0, id: str = "64a1") -> dict[str, str]:
    """The headers of a delivery that was signed so many seconds ago."""
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=age)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(id, moment, body) for secret in secrets),
        "content-type": "application/json",
    }


def test_signed_requests_are_accepted_and_their_attempts_counted(start: Start) -> None:
    sink = start(SECRET=SECRET)
    for id in ("64a1", "64a1", "64b2"):
        answer = sink.post(BODY, signed(SECRET, id=id))
        assert (answer.status_code, answer.content) == (200, b"")
    assert sink.told == [
        "200 verified project.created 64a1 attempt 1",
        "200 verified project.created 64a1 attempt 2",
        "200 verified project.created 64b2 attempt 1",
    ]


def test_either_secret_verifies_in_the_overlap_of_a_rotation(start: Start) -> None:
    sink = start(SECRET=f"{OTHER}, {SECRET}")
    for secrets in ((SECRET,), (OTHER,), (OTHER, SECRET)):
        assert sink.post(BODY, signed(*secrets)).status_code == 200
    assert [line.split(" project", 1)[0] for line in sink.told] == ["200 verified"] * 3


def test_requests_that_do_not_verify_are_refused_with_the_reason(start: Start) -> None:
    sink = start(SECRET=SECRET)
    good = signed(SECRET)
    wrong = {
        "No matching signature found": (BODY.replace("64a1", "64a2"), good),
        "Message timestamp too old": (BODY, signed(SECRET, age=301)),
        "Message timestamp too new": (BODY, signed(SECRET, age=-400)),
        "Missing required headers": (BODY, {"webhook-id": "64a1"}),
        "Invalid Signature Headers": (BODY, {**good, "webhook-timestamp": "soon"}),
        "Malformed": (BODY, {**good, "webhook-signature": "v1"}),
    }
    for content, headers in (*wrong.values(), (BODY, signed(OTHER)), (BODY, {**good, "webhook-id": "64a3"})):
        assert sink.post(content, headers).status_code == 401
    attempts = [
        *((why, "64a1", place) for place, why in enumerate(wrong, 1)),
        ("No matching signature found", "64a1", 7),
    ]
    assert sink.told == [
        *(f"401 not verified ({why}) project.created {id} attempt {attempt}" for why, id, attempt in attempts),
        "401 not verified (No matching signature found) project.created 64a3 attempt 1",
    ]


def test_without_a_secret_requests_are_accepted_and_called_unverified(start: Start) -> None:
    sink = start()
    assert "make webhook-sink SECRET=whsec_…" in sink.output
    assert sink.post(BODY, signed(OTHER)).status_code == 200
    assert sink.post("no event", {}).status_code == 200
    assert sink.post('{"type": "\\u001b[2J"}', {}).status_code == 200
    assert sink.told == [
        "200 unverified project.created 64a1 attempt 1",
        "200 unverified - - attempt 1",
        "200 unverified ?[2J - attempt 2",
    ]


def test_only_the_first_requests_are_refused_where_a_number_is_given(start: Start) -> None:
    sink = start(SECRET=SECRET, REFUSE="429:30x2")
    assert sink.post(BODY, signed(OTHER)).status_code == 401, "not one of the two"
    answers = [sink.post(BODY, signed(SECRET)) for _ in range(3)]
    assert [(each.status_code, each.headers.get("retry-after")) for each in answers] == [
        (429, "30"),
        (429, "30"),
        (200, None),
    ]
    assert [line.partition(" project")[0] for line in sink.told[1:]] == ["429 verified", "429 verified", "200 verified"]


def test_every_request_is_refused_where_no_number_is_given(start: Start) -> None:
    sink = start(REFUSE="500")
    assert [sink.post(BODY, signed(SECRET)).status_code for _ in range(3)] == [500] * 3


def test_a_closed_connection_has_no_answer(start: Start) -> None:
    sink = start(SECRET=SECRET, REFUSE="closex1")
    with pytest.raises(httpx.RemoteProtocolError):
        sink.post(BODY, signed(SECRET))
    assert sink.post(BODY, signed(SECRET)).status_code == 200
    assert [line.partition(" project")[0] for line in sink.told] == ["close verified", "200 verified"]


def test_a_hanging_request_is_told_of_and_delays_no_other(start: Start) -> None:
    sink = start(SECRET=SECRET, REFUSE="hangx1")
    with closing(HTTPConnection(urlsplit(sink.url).netloc)) as hanging:
        hanging.request("POST", "/", BODY, signed(SECRET))
        wait_for(lambda: sink.told)
        assert sink.post(BODY, signed(SECRET)).status_code == 200
        hanging.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            hanging.sock.recv(1)
    assert [line.partition(" project")[0] for line in sink.told] == ["hang verified", "200 verified"]


def test_without_a_port_the_sink_takes_4000_or_a_free_one(start: Start) -> None:
    """Another program of this machine may have 4000; the second sink finds it in use in any case."""
    first, second = start(PORT=""), start(PORT="")
    assert first.url != second.url != "http://127.0.0.1:4000"
    for sink in (first, second):
        assert sink.post(BODY, signed(SECRET)).status_code == 200
        assert len(sink.told) == 1


def test_the_start_tells_how_to_register_the_sink_with_the_running_instance(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    dev = {"base_url": "http://127.0.0.1:3001", "tenants": {"acme": {"principals": {"owner": {"token": "atr_1"}}}}}
    (data / "dev.json").write_text(json.dumps(dev))
    sink = start(SECRET=SECRET)
    assert (
        f"""
  curl http://127.0.0.1:3001/v1/webhooks -H "Authorization: Bearer atr_1" -H 'Content-Type: application/json' \\
    -d '{{"url": "{sink.url}/", "events": ["*"]}}'
"""
        in sink.output
    )


def test_ctrl_c_ends_the_sink_without_a_word(start: Start) -> None:
    sink = start()
    before = sink.output
    sink.process.send_signal(signal.SIGINT)
    assert sink.process.wait(NET) == 0
    assert sink.output == before


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"PORT": "http"}, "PORT=http is no port.\n"),
        ({"SECRET": "whsec_short"}, "SECRET= takes one secret, or two with a comma between them: whsec_ and base64"),
        ({"REFUSE": "100"}, "REFUSE=100: send a status (500), 429:30, hang or close"),
        ({"REFUSE": "hang:3"}, "REFUSE=hang:3: send a status (500), 429:30, hang or close"),
    ],
)
def test_a_senseless_variable_ends_the_start(tmp_path: Path, variables: dict[str, str], why: str) -> None:
    sink = launched(tmp_path / "output", **variables)
    assert sink.process.wait(NET) == 1
    assert sink.output.startswith(why)


def test_a_given_port_in_use_ends_the_start(start: Start, tmp_path: Path) -> None:
    port = start().url.rpartition(":")[2]
    second = launched(tmp_path / "second", PORT=port)
    assert second.process.wait(NET) == 1
    assert second.output == f"Port {port} is in use. Set another one, or none: make webhook-sink\n"
