"""The command line, its README and the API know the same things."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from atrium_cli.app import app
from atrium_cli.commands import COMMANDS, GROUPS, Command
from atrium_cli.failures import MEANINGS
from local.template import ROOT
from tests.support.client import World
from tests.support.command import Atrium, environment

DOCUMENT = json.loads((ROOT / "functions/openapi.json").read_text())
README = (ROOT / "cli/README.md").read_text()


def resolved(node: Any) -> Any:
    return DOCUMENT["components"][node["$ref"].split("/")[2]][node["$ref"].split("/")[3]] if "$ref" in node else node


def operation(command: Command) -> Any:
    return DOCUMENT["paths"][command.path][command.method.lower()]


def parameters(command: Command, place: str) -> dict[str, Any]:
    found = [resolved(each) for each in operation(command).get("parameters", [])]
    return {each["name"]: each.get("schema", {}) for each in found if each["in"] == place}


def body(command: Command) -> tuple[dict[str, Any], set[str]]:
    """The fields of the body, and those of them that are required."""
    if "requestBody" not in operation(command):
        return {}, set()
    schema = resolved(operation(command)["requestBody"]["content"]["application/json"]["schema"])
    return schema["properties"], set(schema.get("required", []))


def sent(command: Command) -> set[str]:
    return {field.name for field in command.takes} | set(command.also)


def test_every_route_of_administration_has_a_command() -> None:
    left_out = re.compile(r"/(tasks|datasets|experiments|decisions)\b|^/v1/roles$")
    routes = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        if path.startswith("/v1/") and not left_out.search(path)
        for method in methods
        if method != "parameters"
    }
    assert routes == {(command.method, command.path) for command in COMMANDS}
    assert len(routes) > 30


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_command_takes_what_its_route_takes(command: Command) -> None:
    query = parameters(command, "query")
    fields, required = body(command)
    assert command.is_list == ("cursor" in query)
    mine = query.keys() - {"cursor", "limit"} | fields.keys()
    assert sent(command) <= mine
    together = {name for each in COMMANDS if operation(each) is operation(command) for name in sent(each)}
    assert together == mine, "each field has a command"
    assert {field.name for field in command.takes if field.required} == required
    schemas = {**query, **fields}
    for field in command.takes:
        if choices := [each for each in get_args(field.kind) if isinstance(each, str)]:
            assert sorted(choices) == sorted(resolved(schemas[field.name])["enum"]), field.name
    headers = parameters(command, "header")
    assert (command.writes, command.changes) == ("Idempotency-Key" in headers, "If-Match" in headers)
    answers = operation(command)["responses"]
    assert bool(command.done) == ("204" in answers)
    if not command.done:
        (schema,) = (answers[status]["content"]["application/json"]["schema"] for status in answers if status[0] == "2")
        answer = resolved(schema)["properties"]
        if command.is_list:
            answer = resolved(answer["data"]["items"])["properties"]
        assert command.has_secret == ("secret" in answer)
        assert sorted(command.answers) == sorted(answer)


def leaf(words: list[str]) -> None:
    """Reads a command line as the program does, without carrying it out. Raises an error of usage."""
    found: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(found, "commands", {}):
        found = found.commands[rest.pop(0)]
    assert found.name != "atrium"
    found.make_context("atrium", rest)


def examples() -> Iterator[str]:
    for command in COMMANDS:
        assert command.examples, command.words
        yield from command.examples
    yield from re.findall(r"^atrium .*$", README, re.MULTILINE)
    yield from re.findall(r"\$\((atrium [^)]*)\)", README)


def test_every_printed_example_is_a_command_line_that_is_understood() -> None:
    found = list(examples())
    assert len(found) > 50
    for example in found:
        line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", example)
        words = shlex.split(re.sub(r" >> \S+$", "", line))
        assert words[0] == "atrium", example
        leaf(words[1:])


def test_readme_names_every_command_and_exit_status() -> None:
    named = set()
    for cell in re.findall(r"^\| (`atrium .+?) \|", README, re.MULTILINE):
        group: list[str] = []
        for words in (each.split() for each in re.findall(r"`([^`]+)`", cell)):
            group = words[1:-1] if words[0] == "atrium" else group
            named.add(" ".join([*group, words[-1]]))
    assert named == {command.words for command in COMMANDS} | {"login"}
    told = {int(status): meaning for status, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)}
    assert told == {int(exit): meaning for exit, meaning in MEANINGS.items()}
    assert {group.split()[0] for group in GROUPS} <= {words.split()[0] for words in named}


def test_help_of_each_command_has_an_example_and_fits_on_a_terminal(atrium: Atrium) -> None:
    for words in ["", "login", *GROUPS, *(command.words for command in COMMANDS)]:
        done = atrium(*words.split(), "--help")
        assert (done.exit, done.err) == (0, "")
        assert "\x1b" not in done.out
        assert words in (*GROUPS, "") or "  Examples:\n    " in done.out, words
        text = done.out.partition("  Examples:")[0]
        assert max(map(len, text.splitlines())) <= 80, words


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `pip install ./cli` makes it, without its requirements, which are here."""
    folder = tmp_path_factory.mktemp("cli")
    shutil.copytree(
        ROOT / "cli", folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    )
    words = ["pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run(
        [Path(sys.executable).parent / "uv", *words, "--target", folder / "to", folder / "source"], check=True
    )
    return folder / "to"


def test_installed_program_runs_and_completes(world: World, atrium: Atrium, installed: Path, tmp_path: Path) -> None:
    variables = {**os.environ, **environment(tmp_path), "PYTHONPATH": str(installed)}

    def run(*words: str | Path, **more: str) -> str:
        return subprocess.run(words, env={**variables, **more}, capture_output=True, text=True, check=True).stdout

    assert run(installed / "bin/atrium", "me", "--only", "principal_id") == f"{world.uuid('owner')}\n"
    completing = {"_ATRIUM_COMPLETE": "complete_bash", "COMP_WORDS": "atrium credentials r", "COMP_CWORD": "2"}
    assert run(installed / "bin/atrium", **completing).split() == ["rotate", "revoke"]
    # From the repository, without an installation.
    del variables["PYTHONPATH"]
    assert run(ROOT / "cli/atrium", "tenant", "--only", "name") == "Acme\n"
    # With a reader that has gone, as `head` has.
    for words in (["tenant"], ["tenant", "show", "--json"], ["--help"], ["spaces", "show", "no id"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run([ROOT / "cli/atrium", *words], env=variables, stdout=writing, stderr=writing, check=False)
        os.close(writing)
        assert done.returncode == 141, words
