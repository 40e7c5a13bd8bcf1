"""The processes of `make run`: killed, stopped, with changed code, and in Lambda's own runtime."""

import os
import re
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.directory import owned
from local.template import ROOT
from tests.support.client import Answer, flat_id
from tests.support.clock import NET
from tests.support.processes import exists, running, wait_for
from tests.support.requests import FLAT
from tests.support.world import full


def test_a_data_directory_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    open_to_all, new = tmp_path / "open", tmp_path / "folder" / "new"
    open_to_all.mkdir(mode=0o755)
    for directory in (open_to_all, new):
        with owned(directory) as mine:
            assert mine
            assert directory.stat().st_mode & 0o777 == 0o700


def test_all_data_survives_a_kill_of_the_whole_group(tmp_path: Path) -> None:
    """Including the write acknowledged right before the kill."""
    kept: dict[int, Answer] = {}
    dev: Any = None
    for turn in range(full(3, 20)):
        with running(tmp_path) as instance:
            world = instance.world
            assert dev is None or instance.dev == {**dev, "base_url": f"http://127.0.0.1:{instance.port}"}
            dev = instance.dev
            assert world("GET", "/projects").body == [answer.body for answer in kept.values()]
            for number, answer in kept.items():
                replay = world("POST", "/projects", {**FLAT, "projectName": f"{number}"}, key=f"k{number}")
                assert (replay.content, replay.replayed) == (answer.content, True)
            if turn % 2:
                _, gone = kept.popitem()
                assert world("DELETE", f"/projects/{gone.body['_id']}").status == 200
            else:
                kept[turn] = world("POST", "/projects", {**FLAT, "projectName": f"{turn}"}, key=f"k{turn}")
                assert kept[turn].status == 201
            instance.kill_group()
            wait_for(lambda instance=instance: not instance.members())  # type: ignore[misc]
            assert (tmp_path / "dev.json").exists(), "a killed instance cannot tidy up"
    # Their contents are tested without an instance.
    assert {path.name for path in (tmp_path / "queues").iterdir()} == {
        "ProjectRequests.jsonl",
        "WebhookDeliveries.fifo.jsonl",
        "WebhookEvents.jsonl",
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code for changes."""
    root = tmp_path / "copy"
    for folder in ("functions", "layers", "local"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    (root / "local/node_modules").symlink_to(ROOT / "local/node_modules")
    shutil.copy(ROOT / "template.yaml", root)
    return root


# A request that finds `held` removes it and waits for `released`.
LOUDER = """
import time
from pathlib import Path

quiet = handler
held, released = Path("{folder}/held"), Path("{folder}/released")

def handler(event, context):
    print("here")
    if held.exists():
        held.unlink()
        while not released.exists():
            time.sleep(0.02)
    return {{**quiet(event, context), "statusCode": {status}}}
"""


def test_changed_code_runs_at_once_and_broken_code_is_reported_and_can_be_repaired(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "functions:layers/atrium")
    function, layer = copy / "functions/v1/list_roles.py", copy / "layers/atrium/atrium/permissions.py"
    source, below = function.read_text(), layer.read_text()

    def louder(status: int) -> str:
        return source + LOUDER.format(folder=tmp_path, status=status)

    with running(tmp_path, (sys.executable, "-m", "local.run"), copy) as instance:
        world = instance.world

        def comes(status: int) -> None:
            wait_for(lambda: world("GET", "/v1/roles").status == status)

        comes(200)
        function.write_text(louder(298))
        comes(298)
        wait_for(lambda: re.search(r"^\d\d:\d\d:\d\d V1ListRoles \| here$", instance.output(), re.MULTILINE))

        function.write_text("def broken(:\n")
        comes(502)
        assert set(world("GET", "/v1/roles").body) == {"error", "detail"}
        assert world("GET", "/v1/me").status == 200, "other functions still work"
        wait_for(lambda: re.search(r"V1ListRoles \| +def broken\(:\n.*\n.* SyntaxError: ", instance.output()))
        function.write_text(louder(297))
        comes(297)

        layer.write_text("1 / 0\n")
        comes(503)
        wait_for(
            lambda: re.search(r"Authorizer \| ZeroDivisionError: division by zero$", instance.output(), re.MULTILINE)
        )
        layer.write_text(below)
        comes(297)

        held, released = tmp_path / "held", tmp_path / "released"
        held.touch()
        with ThreadPoolExecutor() as threads:
            slow = threads.submit(world, "GET", "/v1/roles")
            wait_for(lambda: not held.exists())
            function.write_text(source)
            comes(200)
            assert not slow.done(), "new code does not wait for the old one"
            released.touch()
            assert slow.result().status == 297, "a request in progress is finished by the old code"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_processes(tmp_path: Path, kind: signal.Signals) -> None:
    with running(tmp_path) as instance:
        members = instance.members()
        assert len(members) > 5
        (server,) = instance.running("python", "local.run")
        if kind == signal.SIGINT:  # Ctrl-C reaches the whole foreground group
            os.killpg(instance.process.pid, kind)
        else:
            os.kill(server, kind)
        instance.process.wait(NET)
        wait_for(lambda: not instance.members())
        assert not (tmp_path / "dev.json").exists()
        assert "Traceback" not in instance.output()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{instance.port}/projects")


def test_lambdas_own_runtime_serves_the_build(tmp_path: Path) -> None:
    with running(tmp_path, RUNTIME="lambda") as instance:
        world = instance.world

        def environment(handler: str) -> tuple[int, int]:
            """The process ids of the emulator and of the function in it."""
            both = instance.running("awslambdaric", handler)
            (emulator,) = instance.running("aws-lambda-rie", handler)
            (function,) = {*both} - {emulator}
            return emulator, function

        flat = world("POST", "/projects", FLAT, key="flat")
        v1 = world("POST", world.projects(), {"name": "Apollo"}, key="v1")
        assert (flat.status, v1.status) == (201, 201)

        emulator, _ = environment("projects.create_project.handler")
        os.kill(emulator, signal.SIGKILL)
        wait_for(lambda: not exists(emulator))
        again = world("POST", "/projects", FLAT, key="flat")
        assert (again.status, again.replayed, again.content) == (201, True, flat.content), "in a new environment"
        _, function = environment("v1.create_project.handler")
        os.kill(function, signal.SIGKILL)
        wait_for(lambda: not exists(function))
        gone = world("POST", world.projects(), {"name": "Apollo"}, key="v1")
        assert (gone.status, set(gone.body)) == (502, {"error", "detail"}), "the answer of a crashed function"
        again = world("POST", world.projects(), {"name": "Apollo"}, key="v1")
        assert (again.status, again.replayed, again.content) == (201, True, v1.content), "in a fresh process"

        assert [project["_id"] for project in world("GET", "/projects").body] == [
            flat.body["_id"],
            flat_id(v1.body["id"]),
        ]
        assert [project["name"] for project in world("GET", world.projects()).body["data"]] == [
            FLAT["projectName"],
            "Apollo",
        ]
        assert world("GET", "/projects", by=None).status == 401
        published = instance.directory / "events.jsonl"
        wait_for(lambda: published.exists() and v1.body["id"] in published.read_text())

        (server,) = instance.running("python", "local.run")
        os.kill(server, signal.SIGKILL)
        wait_for(lambda: not instance.running("awslambdaric"))  # environments end with the server
