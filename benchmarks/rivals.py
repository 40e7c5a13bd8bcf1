"""The rivals of the benchmarks: our functions, built for this machine, and peers that do the same or less.

Each rival runs in the functions' own Python, with only its own folder, its layers and the runtime client.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from layers.build import VERSION, interpreters, version_of
from local.template import REGION, ROOT, Function, Template

BENCH = ROOT / ".bench"
PEERS = ROOT / "benchmarks" / "peers"
PYTHON = BENCH / "lambda" / "bin" / "python"
INSIDE = ROOT / "benchmarks" / "inside.py"
MACHINE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())

# Our functions in the comparison: both creations, the flat list, adding a member, and the authorizer.
OURS = ("CreateProject", "V1CreateProject", "ListProjects", "V1AddMember", "Authorizer")
CREATE = "V1CreateProject"

# SDKs require credentials; the table here accepts any.
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "unused", "AWS_SECRET_ACCESS_KEY": "unused", "AWS_DEFAULT_REGION": REGION}


@dataclass(frozen=True)
class Rival:
    """A handler to measure. `path` is its import path, beginning with the folder of the handler; `request` is the
    function whose request it receives.
    """

    name: str
    label: str
    path: Sequence[Path]
    handler: str
    request: str = CREATE
    python: Path = PYTHON

    def variables(self, environment: Mapping[str, str], database: str) -> dict[str, str]:
        """The variables that it needs of the functions' environment; a peer needs only the table's name. Paths under
        /opt, where Lambda has layers, are replaced.
        """
        layers = self.path[1:]
        own = (
            {name: value.replace("/opt/python", str(layers[0])) for name, value in environment.items()}
            if layers
            else {}
        )
        return {
            **own,
            **_CREDENTIALS,
            "TABLE_NAME": environment["TABLE_NAME"],
            "AWS_ENDPOINT_URL_DYNAMODB": database,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        }

    def function(self) -> Function:
        return Function(self.name, self.handler, timeout=15, memory=512, environment={})

    def command(self, mode: str) -> list[str]:
        """The command that runs its handler in a plain process (see inside.py)."""
        return [str(self.python), "-P", str(INSIDE), mode]

    def process_environment(self, variables: Mapping[str, str], **more: str) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "AWS_REGION": REGION,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(self.path[0]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(map(str, self.path)),
            "_HANDLER": self.handler,
            **variables,
            **more,
        }


class Field:
    """Builds all rivals into .bench."""

    def __init__(self, template: Template) -> None:
        self._template = template
        python = next(
            (found for found in interpreters(VERSION, VERSION) if version_of(found) == VERSION), sys.executable
        )
        self.version = version_of(python) or ""
        if self.version != VERSION:
            print(
                f"No Python {VERSION} runs here. What follows is Python {self.version}'s, not what Lambda would show."
            )
        make_runtime(python, PYTHON.parent.parent)
        build_ours(self.version, BENCH / "ours")
        for peer in ("bare", "boto3_client", "fastapi", "flask"):
            self._build_peer(peer)
        for name in ("ours", "fastapi"):
            self._strip(name)

    # ------------------------------------------------------------ rivals

    @cached_property
    def peers(self) -> list[Rival]:
        """The peers, in the order of the table."""
        fastapi, stripped = self._peer("fastapi", "FastAPI + Mangum"), BENCH / "without-bytecode" / "fastapi"
        return [
            self._peer("bare", "bare handler"),
            self._peer("boto3_client", "bare handler + boto3 client"),
            self._peer("flask", "Flask + apig-wsgi"),
            fastapi,
            Rival("fastapi_plain", f"{fastapi.label}, no bytecode (plain `sam build`)", [stripped], fastapi.handler),
        ]

    def ours(self, name: str) -> Rival:
        return ours(self._template, name, BENCH / "ours")

    @cached_property
    def without_bytecode(self) -> Rival:
        built = self.ours(CREATE)
        folders = [BENCH / "without-bytecode" / path.relative_to(BENCH) for path in built.path]
        return Rival("no_bytecode", f"{CREATE}, no bytecode", folders, built.handler)

    def _peer(self, name: str, label: str) -> Rival:
        return Rival(name, label, [BENCH / name], "app.handler")

    # ------------------------------------------------------------ builds

    def _build_peer(self, name: str) -> None:
        folder, source = BENCH / name, PEERS / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        if (pins := source / "requirements.txt").exists():
            shutil.copy(PEERS / "projects.py", folder)
            pip(
                "--python",
                str(PYTHON),
                "install",
                "--no-deps",
                "--no-compile",
                f"--target={folder}",
                "--require-hashes",
                f"--requirement={pins}",
            )
        run(str(PYTHON), "-m", "compileall", "-q", "-j0", "--invalidation-mode=unchecked-hash", str(folder))

    def _strip(self, name: str) -> None:
        folder = BENCH / "without-bytecode" / name
        shutil.rmtree(folder, ignore_errors=True)
        wanted = [BENCH / name] if name != "ours" else self.ours(CREATE).path
        for path in wanted:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, BENCH / "without-bytecode" / path.relative_to(BENCH), ignore=ignored)


def ours(template: Template, name: str, built: Path, python: Path = PYTHON) -> Rival:
    """A built function of the template."""
    layers = template.resources[name]["Properties"]["Layers"]
    folders = [built / layer["Ref"].rstrip("0123456789abcdef") / "python" for layer in layers]
    return Rival(name, name, [built / name, *folders], template.functions[name].handler, name, python)


def trust(root: str) -> None:
    """Adds a root certificate to those that the rivals trust, replacing that of an earlier run."""
    mark = "\n# Of the benchmark's table\n"
    for bundle in ("botocore/cacert.pem", "amazon-roots.pem"):
        for path in BENCH.glob(f"**/{bundle}"):
            path.write_text(path.read_text().partition(mark)[0] + mark + root)


def make_runtime(python: str, folder: Path) -> None:
    """Makes an environment of this interpreter with only the runtime client."""
    shutil.rmtree(folder, ignore_errors=True)
    run(python, "-m", "venv", "--without-pip", str(folder))
    pins = ROOT / "local" / "runtime.txt"
    pip("--python", str(folder / "bin" / "python"), "install", "--require-hashes", f"--requirement={pins}")


def build_ours(python: str, folder: Path) -> None:
    """Builds the functions for this machine and a version of Python, or an interpreter."""
    variables = {"LAMBDA_PYTHON": python, "LAMBDA_ARCH": MACHINE, "SAM_CLI_TELEMETRY": "0"}
    sam = Path(sys.executable).with_name("sam")
    # The layer's Makefile calls python3.
    path = f"{sam.parent}:{os.environ['PATH']}"
    environment = {**os.environ, **variables, "PATH": path}
    run(str(sam), "build", "--no-cached", "--build-dir", str(folder), env=environment)


def pip(*arguments: str) -> None:
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def run(*command: str, env: Mapping[str, str] | None = None) -> None:
    """Runs a command. If it fails, raises SystemExit with its output."""
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def written(path: Path, value: Any, indent: int | None = None) -> Path:
    text = json.dumps(value, indent=indent)
    if indent:
        # Each list of figures is put on one line.
        text = re.sub(r"\[[-+\d.e,\s]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    path.write_text(text + "\n")
    return path
