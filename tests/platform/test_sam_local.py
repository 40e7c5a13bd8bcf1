"""The parts of docs/sam-local.md that a machine without containers can test."""

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from samcli.commands.local.invoke.cli import cli as invoke
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.commands.local.start_api.cli import cli as start_api
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

from local.loopback import Handler, listening
from local.rie import BUILD, MACHINE
from local.sam_local import FOLDER, LOOPBACK, door, prepare, this_machine
from local.template import ROOT, Template, lambda_environment
from tests.support.sam_local import RESULTS, RUN, SAMPLES, START_API, TEXT

COMMANDS = {"invoke": invoke, "start-api": start_api}


@pytest.fixture(scope="module")
def on_a_laptop() -> Template:
    """The template as `make run` takes it: with no bucket, and so without ExportEvents."""
    return Template()


def test_every_function_is_named_with_its_sample_event(on_a_laptop: Template) -> None:
    assert len(SAMPLES) == len(dict(SAMPLES))
    assert {name: f"{event.replace('/', '.')}.handler" for name, event in SAMPLES} == {
        name: function.handler for name, function in on_a_laptop.functions.items()
    }
    events = {str(path.relative_to(ROOT / "events").with_suffix("")) for path in (ROOT / "events").rglob("*.json")}
    events.remove("automation/export_events")
    assert {event for _, event in SAMPLES} == events
    assert RESULTS.keys() == {event for event in events if event.startswith("auto") or event == "authorizer"}


def test_the_commands_use_existing_options_of_sam() -> None:
    commands = [
        text.replace("\\\n", "").split(maxsplit=3)[2:] for text in re.findall(r"sam local .*\\\n.*", RUN + START_API)
    ]
    assert [name for name, _ in commands] == list(COMMANDS)
    for name, rest in commands:
        words = [word for word in shlex.split(rest) if word.startswith("-")]
        assert set(words) <= {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert f"--template {FOLDER.relative_to(ROOT)}/sam.json" in rest
        assert f"--env-vars {FOLDER.relative_to(ROOT)}/env.json" in rest
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_written_files_give_each_function_its_variables_in_the_container(
    tmp_path: Path, on_a_laptop: Template
) -> None:
    shutil.copy(BUILD / "template.yaml", tmp_path)
    endpoints = {"dynamodb": f"http://{LOOPBACK}:5001", "eventbridge": f"http://{LOOPBACK}:5002", "access_key_id": "k"}
    prepare(tmp_path, endpoints)
    assert (tmp_path / "env.json").stat().st_mode & 0o777 == 0o600

    stacks, _ = SamLocalStackProvider.get_stacks(str(tmp_path / "sam.json"))
    functions = SamFunctionProvider(stacks)
    given = json.loads((tmp_path / "env.json").read_text())
    no_containers: Any = None
    runner = LocalLambdaRunner(no_containers, functions, str(tmp_path), str(tmp_path), env_vars_values=given)
    for name, function in on_a_laptop.functions.items():
        found = functions.get(name)
        assert found is not None
        assert found.handler == function.handler
        assert found.architectures == [MACHINE]
        variables = runner._make_env_vars(found).resolve()
        assert lambda_environment(function, **endpoints).items() <= variables.items()


def test_a_door_leads_to_a_loopback_port_and_refuses_once_the_port_is_closed() -> None:
    class Echo(Handler):
        def answer(self) -> None:
            self.reply(200, self.rfile.read(int(self.headers["Content-Length"])))

    async def through_a_door() -> None:
        large = b"x" * 1_000_000
        with listening(Echo, "echo") as url:
            port = await door("127.0.0.1", int(url.rpartition(":")[2]))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                for content in (b"1", large):
                    assert (await client.post("/", content=content)).content == content
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(through_a_door())


# The used fields of engines' answers to GET /info, and this machine's address for their containers.
ENGINES: dict[str, tuple[dict[str, Any], str]] = {
    "Docker on Linux": ({"OperatingSystem": "Debian GNU/Linux 12", "SecurityOptions": ["name=seccomp"]}, "172.17.0.1"),
    "Docker Desktop": ({"OperatingSystem": "Docker Desktop", "SecurityOptions": ["name=seccomp"]}, LOOPBACK),
    "Podman": ({"OperatingSystem": "debian", "SecurityOptions": None, "Rootless": False}, "172.17.0.1"),
}
ROOTLESS: dict[str, dict[str, Any]] = {
    "Docker": {"OperatingSystem": "Debian GNU/Linux 12", "SecurityOptions": ["name=seccomp", "name=rootless"]},
    "Podman": {"OperatingSystem": "debian", "SecurityOptions": ["name=seccomp"], "Rootless": True},
}


@contextmanager
def engine_that_says(info: dict[str, Any]) -> Iterator[str]:
    class Engine(Handler):
        def answer(self) -> None:
            answers = {
                "version": {"ApiVersion": "1.41"},
                "info": info,
                "bridge": {"Id": "0", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}},
            }
            content = json.dumps(answers[self.path.rpartition("/")[2].partition("?")[0]]).encode()
            self.reply(200, content, Content_Type="application/json")

    with listening(Engine, "engine") as url:
        yield url.replace("http", "tcp")


@pytest.mark.parametrize("name", ENGINES)
def test_this_machine_has_an_address_where_containers_run_on_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    info, host = ENGINES[name]
    monkeypatch.setattr("sys.platform", "linux")
    with engine_that_says(info) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        assert this_machine() == host


@pytest.mark.parametrize("name", ROOTLESS)
def test_containers_without_root_need_a_host(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    with engine_that_says(ROOTLESS[name]) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(SystemExit, match="without root"):
            this_machine()


def test_without_a_container_engine_the_error_names_the_places_searched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SystemExit, match="Neither Docker nor Podman"):
        this_machine()
