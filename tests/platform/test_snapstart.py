"""SnapStart: several environments continue from one snapshot. The runtime client with its hooks is AWS's own; a fork
takes the place of the snapshot.
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.database import as_child
from local.loopback import Handler, listening
from local.rie import PYTHON
from local.template import ROOT, Template, lambda_environment
from tests.support.clock import NET
from tests.support.processes import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime is for Linux")

CLONES = 2

# The first registered hook runs last. Python reseeds its generator after a fork but not after a snapshot, so the hook
# restores its state. The function's clock is fake, and passes at once.
CODE = """
import os, random
from snapshot_restore_py import register_before_snapshot

@register_before_snapshot
def snapshot():
    state = random.getstate()
    os.fork()
    random.setstate(state)

from atrium.store.engine import scope
from atrium.store.engine import table
from v1.get_me import handler as answer

waited = []

class Clock:
    def monotonic(self): return sum(waited)
    def sleep(self, seconds): waited.append(seconds)

table.time = scope.time = Clock()

def handler(event, context):
    return {"status": answer(event, context)["statusCode"], "waited": waited, "process": os.getpid()}
"""


class Machine:
    """Lambda's runtime API, and a table that throttles every call. Records the open connections to the table, and those
    opened during the start and the restore."""

    def __init__(self, event: Any) -> None:
        self.event = json.dumps(event).encode()
        self.connections: set[int] = set()
        self.of_the_start: set[int] = set()
        self.of_the_restore: set[int] = set()
        self.asked = 0
        self.ready = 0
        self.results: list[Any] = []
        self.condition = threading.Condition()
        self.restored = threading.Event()
        self.over = threading.Event()

    def handler(self) -> type[Handler]:
        machine = self

        class Runtime(Handler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if "X-Amz-Target" in self.headers:
                    machine.ask(self.client_address[1])
                    self.reply(400, json.dumps({"__type": "com.amazonaws#ThrottlingException"}).encode())
                elif self.path.endswith("/restore/next"):
                    with machine.condition:
                        machine.ready += 1
                    machine.restored.wait()
                    self.reply(200, b"")
                elif self.path.endswith("/invocation/next"):
                    machine.next_event(self)
                elif self.path.endswith("/response"):
                    machine.results.append(json.loads(body))
                    self.reply(202, b"")
                else:
                    machine.results.append([self.path, body.decode()])
                    self.reply(202, b"")

            def finish(self) -> None:
                super().finish()
                machine.connections.discard(self.client_address[1])

        return Runtime

    def ask(self, connection: int) -> None:
        with self.condition:
            self.connections.add(connection)
            (self.of_the_restore if self.restored.is_set() else self.of_the_start).add(connection)
            self.asked += 1

    def next_event(self, environment: Handler) -> None:
        """Gives each environment one event, once all environments have asked for one."""
        with self.condition:
            self.ready += 1
            first = self.ready <= 2 * CLONES
            self.condition.notify_all()
            self.condition.wait_for(lambda: self.ready >= 2 * CLONES)
        if not first:
            self.over.wait()
        environment.reply(
            200,
            self.event,
            Lambda_Runtime_Aws_Request_Id="0",
            Lambda_Runtime_Invoked_Function_Arn="arn:aws:lambda:us-east-1:000000000000:function:V1GetMe",
            Lambda_Runtime_Deadline_Ms="9999999999999",
            Content_Type="application/json",
        )


@pytest.fixture
def machine(template: Template, tmp_path: Path) -> Iterator[Machine]:
    """A machine with a function restored from one snapshot into several environments."""
    machine = Machine(json.loads((ROOT / "events/v1/get_me.json").read_text()))
    (tmp_path / "cloned.py").write_text(CODE)
    path = [tmp_path, ROOT / "functions", ROOT / "layers" / "atrium", sysconfig.get_path("purelib")]
    with listening(machine.handler(), "machine") as url, (tmp_path / "output").open("w") as output:
        environment = {
            **lambda_environment(template.functions["V1GetMe"], url, url, "k"),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "AWS_LAMBDA_RUNTIME_API": url.removeprefix("http://"),
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": "V1GetMe",
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "PYTHONPATH": ":".join(map(str, path)),
            "PATH": os.environ["PATH"],
        }
        process = subprocess.Popen(
            [str(PYTHON), "-m", "awslambdaric", "cloned.handler"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=as_child,
        )
        try:
            wait_for(lambda: machine.ready == CLONES or process.poll() is not None)
            assert process.poll() is None, (tmp_path / "output").read_text()
            yield machine
        finally:
            machine.over.set()
            machine.restored.set()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_environments_of_one_snapshot_share_neither_connections_nor_random_numbers(machine: Machine) -> None:
    assert len(machine.of_the_start) == 1, "the start has asked the table"
    wait_for(lambda: not machine.connections)
    machine.restored.set()
    # Each environment has opened its own connection before it asks for its first event.
    with machine.condition:
        assert machine.condition.wait_for(lambda: machine.ready == 2 * CLONES, timeout=NET)
        assert len(machine.of_the_restore) == CLONES == len(machine.connections)
        assert not machine.of_the_restore & machine.of_the_start
    wait_for(lambda: len(machine.results) == CLONES)
    assert [result["status"] for result in machine.results] == [503] * CLONES
    one, other = machine.results
    assert one["process"] != other["process"]
    assert len(one["waited"]) > 5
    assert not {*one["waited"]} & {*other["waited"]}
    assert len(machine.of_the_restore) == CLONES, "and goes on with it"
