"""`make sam-local-test`: what docs/sam-local.md says, done in containers as it is printed. README's tour, and every
function with its sample event, about things that are there.

It prints each answer and how long it took, and ends with 1 if one is not as it should be.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import ANY

import docker

from local.database import free_port
from local.template import ROOT
from tests.support.client import Transport, World, over_http
from tests.support.containers import engine
from tests.support.documents import take_the_tour
from tests.support.processes import running
from tests.support.samples import made_for_samples, prepared, status_of

TEXT = (ROOT / "docs" / "sam-local.md").read_text()
(RUN,) = re.findall(r"^run\(\) \{\n.*?^\}\n", TEXT, re.MULTILINE | re.DOTALL)
(START_API,) = re.findall(r"^sam local start-api (?:.*\\\n)*.*\n", TEXT, re.MULTILINE)
SAMPLES = re.findall(r"^run (\w+) (\S+)$", TEXT, re.MULTILINE)

# Of the functions without a URL: what is in their results.
RESULTS = {
    "authorizer": ("principalId", ANY),
    "automation/add_viewer": ("added", False),
    "automation/create_project_from_event": ("batchItemFailures", []),
    "automation/deliver_events": ("batchItemFailures", []),
    "automation/erase": ("complete", True),
    "automation/fan_out_events": ("batchItemFailures", []),
    "automation/fsck": ("clean", True),
    "automation/issue_credential": ("secret", ANY),
    "automation/list_credentials": ("credentials", ANY),
    "automation/provision": ("principals", ANY),
    "automation/publish_events": ("batchItemFailures", []),
    "automation/purge_deleted": ("batchItemFailures", []),
    "automation/redrive": ("complete", True),
    "automation/revoke_credential": ("revoked_at", ANY),
    "automation/rotate_credential": ("previous_expires_at", ANY),
    "automation/sweep_deleted": ("found", 0),
    "automation/sweep_deliveries": ("due", 0),
}

failed: list[str] = []


def main() -> None:
    start = time.monotonic()
    with ExitStack() as stack:
        image = stack.enter_context(engine())
        containers = docker.from_env().containers
        before = {container.id for container in containers.list(all=True)}
        directory = Path(stack.enter_context(TemporaryDirectory()))
        instance = stack.enter_context(running(directory))
        os.environ["DATA_DIR"] = str(directory)
        stack.enter_context(
            process("make --no-print-directory sam-local", directory / "sam-local", "Leave this running")
        )
        print(f"{datetime.now(UTC):%Y-%m-%d}, SAM CLI {version('aws-sam-cli')}, {engine_name()}, {image}\n")
        tour(instance.dev, directory)
        for name, sample in SAMPLES:
            invoke(instance.world, name, sample, directory)
        left = [container for container in containers.list(all=True) if container.id not in before]
        for container in left:
            container.remove(force=True)
        report("containers", "", not left, f"{len(left)} left", 0)
    took = f"{(time.monotonic() - start) / 60:.0f} minutes"
    print(f"\n{len(SAMPLES)} functions and README's tour, {took}. Failed: {', '.join(failed) or 'nothing'}.")
    sys.exit(bool(failed))


def engine_name() -> str:
    about = docker.from_env().version()["Components"][0]
    return f"{about['Name']} {about['Version']}"


def tour(dev: Any, directory: Path) -> None:
    port = free_port()
    command = START_API.replace("3001", str(port))
    log = directory / "start-api"
    with process(command, log, f"Running on http://127.0.0.1:{port}"):
        send = over_http(f"http://127.0.0.1:{port}")
        try:
            take_the_tour(World(watched(send), dev))
        except AssertionError as error:
            report("README's tour", "", False, str(error), 0)
            print(log.read_text()[-5000:])
        else:
            report("README's tour", "", True, "as printed", 0)


def watched(send: Transport) -> Transport:
    def send_and_show(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Any:
        start = time.monotonic()
        answer = send(method, path, headers, body)
        show(f"start-api {method}", re.sub(r"[0-9a-f-]{36}", "…", path), str(answer[0]), time.monotonic() - start)
        return answer

    return send_and_show


def invoke(world: World, name: str, sample: str, directory: Path) -> None:
    event = directory / "events" / f"{sample}.json"
    event.parent.mkdir(parents=True, exist_ok=True)
    event.write_text(json.dumps(ready_to_send(world, sample)))
    command = f"{RUN.replace('events/', f'{directory}/events/')}run {name} {sample}"
    start = time.monotonic()
    ran = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.monotonic() - start
    result = {}
    with suppress(ValueError):
        result = json.loads(ran.stdout.strip().rpartition("\n")[2])
    key, wanted = RESULTS.get(sample) or ("statusCode", status_of(f"{sample}.json") if "/" in sample else 200)
    found = result.get(key)
    good = ran.returncode == 0 and key in result and found == wanted
    shown = str(found) if key == "statusCode" else key if wanted is ANY and good else f"{key}: {found}"
    report(name, sample, good, shown, took)
    if not good:
        print(ran.stdout[-2000:], ran.stderr[-2000:])


def ready_to_send(world: World, sample: str) -> Any:
    """A route's sample is made to be about things that are there; the others are as they are."""
    if sample.startswith(("projects/", "v1/")):
        return prepared(made_for_samples(world), f"{sample}.json")
    event = json.loads((ROOT / "events" / f"{sample}.json").read_text())
    if sample == "authorizer":
        bearer = f"Bearer {world.principal('owner')['token']}"
        event["headers"]["Authorization"] = bearer
        event["multiValueHeaders"]["Authorization"] = [bearer]
    return event


def report(name: str, sample: str, good: bool, found: str, seconds: float) -> None:
    if not good:
        failed.append(name)
    show(name, sample, found if good else f"NOT AS IT SHOULD BE: {found}", seconds)


def show(name: str, what: str, found: str, seconds: float) -> None:
    print(f"{name:25} {what:45} {found:20} {f'{seconds:5.1f} s' if seconds else ''}", flush=True)


@contextmanager
def process(command: str, log: Path, ready: str) -> Iterator[None]:
    """Runs a command of the shell for as long as it lasts, from when it has said that it is ready."""
    with log.open("w") as output:
        started = subprocess.Popen(
            ["sh", "-c", command], cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
    try:
        while ready not in log.read_text():
            if started.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.1)
        yield
    finally:
        # As Ctrl-C does: SAM removes its containers.
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGINT)
        started.wait()


if __name__ == "__main__":
    main()
