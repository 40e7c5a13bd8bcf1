"""The receivers that docs/webhooks.md prints take what Atrium has signed, and nothing else.

Its facts are the code's.
"""

import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import httpx
import pytest
from standardwebhooks import Webhook

from atrium import outbound, signatures
from atrium.api.v1_webhooks import DeliveryView, WebhookSecretView
from atrium.errors import Code
from atrium.store import circuit
from local.database import free_port
from local.template import ROOT
from tests.support.clock import NET
from tests.support.processes import wait_for

PAGE = (ROOT / "docs/webhooks.md").read_text()

RAW, OLDER_RAW, STRANGERS_RAW = (bytes([number]) * 32 for number in (1, 2, 3))
SECRET, OLDER, STRANGERS = (f"whsec_{b64encode(raw).decode()}" for raw in (RAW, OLDER_RAW, STRANGERS_RAW))
ID = "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0e1"
# Of several bytes a character, and with an escaped line end.
BODY = '{"id":"64a1","type":"project.created","resource":{"name":"Über \\n 東京"}}'.encode()


def snippets(language: str) -> Sequence[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


PROGRAMS: Mapping[str, tuple[str, Sequence[str | Path]]] = {
    "python": ("receiver.py", [sys.executable]),
    "javascript": ("receiver.mjs", [Path(sys.executable).with_name("node")]),
}


def test_page_has_two_programs_each_followed_by_the_one_with_the_library() -> None:
    for language in PROGRAMS:
        program, with_library = snippets(language)
        assert "standardwebhooks" not in program
        assert "standardwebhooks" in with_library
    imported = re.findall(r"^(?:import (\w+)|from ([\w.]+) import)", snippets("python")[0], re.MULTILINE)
    assert {(a or b).partition(".")[0] for a, b in imported} <= sys.stdlib_module_names
    assert set(re.findall(r'from "([^"]+)"', snippets("javascript")[0])) == {"node:crypto", "node:fs", "node:http"}


@dataclass
class Receiver:
    process: subprocess.Popen[bytes]
    folder: Path
    url: str

    @property
    def inbox(self) -> list[bytes]:
        path = self.folder / "inbox.ndjson"
        return path.read_bytes().splitlines() if path.exists() else []

    def post(self, headers: Mapping[str, str], body: bytes = BODY) -> int:
        # As bytes, since a header with letters beyond ASCII is sent, too.
        sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        return httpx.post(self.url, content=body, headers=sent, timeout=NET, trust_env=False).status_code

    def is_listening(self) -> bool:
        assert self.process.poll() is None
        with suppress(httpx.ConnectError):
            return httpx.get(self.url, timeout=NET, trust_env=False).status_code > 0
        return False


@pytest.fixture(params=PROGRAMS)
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    """The receiver of a language, with a secret and the one before it."""
    file, command = PROGRAMS[request.param]
    (tmp_path / file).write_text(snippets(request.param)[0])
    port = free_port()
    process = subprocess.Popen(
        [*command, tmp_path / file],
        cwd=tmp_path,
        env={**os.environ, "WEBHOOK_SECRET": f"{SECRET},{OLDER}", "PORT": str(port)},
        stderr=subprocess.DEVNULL,
        # The command `node` of the environment is a program that starts Node.
        start_new_session=True,
    )
    receiver = Receiver(process, tmp_path, f"http://127.0.0.1:{port}/")
    try:
        wait_for(receiver.is_listening)
        yield receiver
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def signed(*raw: bytes, age: int = 0, body: bytes = BODY) -> dict[str, str]:
    """The headers of a delivery that was signed so many seconds ago with each of the secrets."""
    moment = int(datetime.now(UTC).timestamp()) - age
    return signatures.headers(ID, moment, body, raw)


def test_receiver_takes_what_is_signed_with_either_secret(started: Receiver) -> None:
    for raw in ([RAW], [OLDER_RAW], [STRANGERS_RAW, RAW], [OLDER_RAW, STRANGERS_RAW]):
        assert started.post(signed(*raw)) == 204, raw
    assert started.inbox == [BODY] * 4


def test_receiver_takes_what_the_official_library_has_signed(started: Receiver) -> None:
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": ID,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(ID, moment, BODY.decode()),
    }
    assert started.post(headers) == 204
    assert started.inbox == [BODY]


def test_receiver_refuses_all_else(started: Receiver) -> None:
    good = signed(RAW)
    signature = good["webhook-signature"]
    refused: dict[str, tuple[dict[str, str], bytes]] = {
        "another secret": (signed(STRANGERS_RAW), BODY),
        "a changed body": (good, BODY.replace(b"64a1", b"64a2")),
        "a body with more behind it": (good, BODY + b" "),
        "another id": ({**good, "webhook-id": ID.replace("64a1", "64a2")}, BODY),
        "another time": ({**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) - 1)}, BODY),
        "more than five minutes ago": (signed(RAW, age=310), BODY),
        "more than five minutes ahead": (signed(RAW, age=-400), BODY),
        "no number as a time": ({**good, "webhook-timestamp": "now"}, BODY),
        "an endless number as a time": ({**good, "webhook-timestamp": "9" * 5_000}, BODY),
        "a shorter signature": ({**good, "webhook-signature": signature[:-1]}, BODY),
        "another version of signatures": ({**good, "webhook-signature": signature.replace("v1,", "v2,")}, BODY),
        "no signature": ({**good, "webhook-signature": ""}, BODY),
        "letters beyond ASCII": ({**good, "webhook-signature": "v1,é"}, BODY),
        "no headers": ({}, BODY),
    }
    for what, (headers, body) in refused.items():
        assert started.post(headers, body) == 401, what
    assert started.post(signed(RAW, age=200)) == 204
    assert started.inbox == [BODY]


def test_function_with_the_library_takes_what_is_signed_and_refuses_all_else() -> None:
    module = ModuleType("with_the_library")
    exec(snippets("python")[1], vars(module))
    event_of: Callable[..., Any] = module.event_of
    assert event_of(SECRET, signed(OLDER_RAW, RAW), BODY) == json.loads(BODY)
    assert event_of(SECRET, signed(STRANGERS_RAW), BODY) is None
    assert event_of(SECRET, signed(RAW), BODY + b" ") is None
    assert event_of(SECRET, signed(RAW, age=310), BODY) is None


def test_example_words_codes_and_times_are_those_of_the_code() -> None:
    shown: Any = WebhookSecretView.model_config["json_schema_extra"]
    assert [json.loads(text) for text in snippets("json")] == [shown["example"]]
    words, _ = get_args(DeliveryView.model_fields["last_error"].annotation)
    table = PAGE.partition("| `last_error` |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(get_args(words))
    assert set(get_args(outbound.Reason)) < set(get_args(words))
    assert set(re.findall(r"\(409,\s+`(\w+)`\)", PAGE)) <= {code.name.lower() for code in Code}
    text = " ".join(PAGE.split())
    pauses = [
        f"{s:.0f} s" if s < 60 else f"{s / 60:.0f} min" if s < 3_600 else f"{s / 3_600:.0f} h" for s in circuit.SCHEDULE
    ]
    assert f"at once, and then {', '.join(pauses[1:-1])} and {pauses[-1]} after" in text
    assert [f"{s / 60:.0f} minute" if s >= 60 else f"{s:.0f} s" for s in circuit.PROBES] == [
        "5 s",
        "1 minute",
        "5 minute",
        "15 minute",
    ]
    assert "come 5 s after the failure, then after 1 minute, 5 minutes, and every 15 minutes" in text
