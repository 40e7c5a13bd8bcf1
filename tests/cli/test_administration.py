"""docs/administration.md, as it is printed there: a reader who puts in the ids and secrets of the own answers."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.template import ROOT
from tests.support.client import World, curls
from tests.support.command import Between, environment

PAGE = (ROOT / "docs/administration.md").read_text()

# The values that differ from reader to reader: the URL, ids, versions, secrets and their ends, moments.
OWN = re.compile(
    r"http://127\.0\.0\.1:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{24}\b|\b[0-9a-f]{32}\b"
    r"|atr_(?:token|key)_(?:…\w{4}|\w{49})|(?<=\"hint\": \")\w{4}|(?<=\"next_cursor\": \")[\w-]+"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z"
)


class Reader:
    """Knows which value of its own stands for each printed one."""

    def __init__(self, **own: str) -> None:
        self._own = own

    def puts_in(self, printed: str) -> str:
        """A printed command with the reader's own values."""
        # The last characters of a secret, which its hint has, come after the secret.
        for sample, value in sorted(self._own.items(), key=lambda pair: -len(pair[0])):
            printed = printed.replace(sample, value)
        assert "…" not in printed, printed
        return printed

    def compares(self, printed: str, answer: str) -> None:
        """Requires that an answer is the printed one, with one value of the reader's own for each printed value."""
        assert OWN.sub("…", printed) == OWN.sub("…", answer), answer
        for sample, value in zip(OWN.findall(printed), OWN.findall(answer), strict=True):
            if sample[10:11] != "T":
                assert self._own.setdefault(sample, value) == value, sample
        assert len(set(self._own.values())) == len(self._own), "no two printed values stand for one"


def blocks(name: str) -> Iterator[tuple[str, str]]:
    """The commands of one way, each with the answer that is printed below, if there is one."""
    found = re.findall(r"^```(sh|json|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for (kind, text), (below, answer) in zip(found, [*found[1:], ("", "")], strict=True):
        if kind == "sh" and (name == "atrium") == bool(re.search(r"\batrium ", text)):
            yield text, answer if below in ("json", "text") else ""


@pytest.fixture
def reader(world: World, api: Between) -> Reader:
    ends = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    samples = {"http://127.0.0.1:3000": api.url, "atr_token_…1fQ8": world.principal("owner")["token"]}
    return Reader(**samples, **{"2027-02-25": ends})


def test_first_day_with_curl_is_answered_as_printed(world: World, reader: Reader) -> None:
    variables: dict[str, str] = {}
    sent = 0
    for text, printed in blocks("curl"):
        given = re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE)
        variables |= {name: reader.puts_in(value) for name, value in given}
        answers = [world.raw(*command) for command in curls(expanded(reader.puts_in(text), variables))]
        sent += len(answers)
        refused = [answer for answer in answers if answer.status >= 300]
        if printed:
            reader.compares(pretty(json.loads(printed)), pretty(answers[-1].body))
            assert refused == (answers[-1:] if "detail" in json.loads(printed) else [])
        else:
            assert refused == []
    assert sent == PAGE.count("\ncurl ")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)


def pretty(body: Any) -> str:
    """Without the numbers of events, which are there once they are published."""
    for event in body.get("data", ()):
        event.pop("sequence", None)
    return json.dumps(body, indent=1, ensure_ascii=False)


def test_first_day_with_the_command_line_is_answered_as_printed(
    world: World, api: Between, reader: Reader, shell: Callable[[str], str]
) -> None:
    for text, printed in blocks("atrium"):
        reader.compares(printed, shell(reader.puts_in(text)))


@pytest.fixture
def shell(world: World, tmp_path: Path) -> Callable[[str], str]:
    """A shell that is open all day. A login is given the newest secret."""
    variables = {"FIRST": world.principal("owner")["token"]}
    known = {**os.environ, **environment(tmp_path), "PATH": f"{ROOT / 'cli'}:{os.environ['PATH']}"}

    def run(text: str) -> str:
        names = re.findall(r"^(\w+)=\$\(", text, re.MULTILINE)
        told = "".join(f"\nprintf '\\036%s' \"${name}\"" for name in names)
        set_up = "".join(f"{name}='{value}'\n" for name, value in variables.items())
        done = subprocess.run(
            ["sh", "-c", f"{set_up}{text}{told}"],
            env=known,
            input=f"{variables['FIRST']}\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        out, *values = done.stdout.split("\036")
        variables.update(zip(names, values, strict=True))
        return out

    return run
