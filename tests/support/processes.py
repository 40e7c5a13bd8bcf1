"""Programs that tests start, and waiting for what they do."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.database import free_port
from local.template import ROOT
from tests.support.client import World, coded, over_http
from tests.support.clock import NET


@dataclass
class Instance:
    process: subprocess.Popen[str]
    directory: Path
    port: int

    @property
    def dev(self) -> Any:
        return json.loads((self.directory / "dev.json").read_text())

    @property
    def world(self) -> World:
        return World(coded(over_http(self.dev["base_url"])), self.dev)

    def is_ready(self, stale: int | None) -> bool:
        assert self.process.poll() is None, self.output()
        with suppress(FileNotFoundError):
            return (self.directory / "dev.json").stat().st_mtime_ns != stale
        return False

    def members(self) -> list[int]:
        """The living processes of its session."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(stat.parent.name))
        return found

    def running(self, *words: str) -> list[int]:
        """Those of them that have these words in their command lines."""
        found = []
        for process in self.members():
            with suppress(OSError):
                command = Path(f"/proc/{process}/cmdline").read_text()
                if all(word in command for word in words):
                    found.append(process)
        return found

    def kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        return (self.directory / "output").read_text()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + NET
    while not condition():
        assert time.monotonic() < deadline, f"not within {NET} s"
        time.sleep(0.05)


def exists(process: int) -> bool:
    """Whether it runs: all of its threads have to end."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{process}/task").iterdir())) > 1
    except FileNotFoundError:
        return False


@contextmanager
def running(
    directory: Path, command: Sequence[str] = ("make", "--no-print-directory", "run"), root: Path = ROOT, **more: str
) -> Iterator[Instance]:
    """An instance on a port of its own, ready: its dev.json is not one that an earlier instance left."""
    stale = (directory / "dev.json").stat().st_mtime_ns if (directory / "dev.json").exists() else None
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "DATA_DIR": str(directory), **more}
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    instance = Instance(process, directory, port)
    try:
        wait_for(lambda: instance.is_ready(stale))
        yield instance
    finally:
        instance.kill_group()
