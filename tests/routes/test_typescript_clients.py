"""TypeScript clients that generators make of the OpenAPI document compile strictly and work with the API."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.template import ROOT
from tests.support.client import World
from tests.support.clock import NET
from tests.support.live import served
from tools.openapi import DOCUMENT

CLIENTS = ROOT / "tests/clients"
NODE = Path(sys.executable).with_name("node")


def run(folder: Path, script: str, *arguments: str) -> None:
    ran = subprocess.run([NODE, script, *arguments], cwd=folder, capture_output=True, text=True, timeout=NET)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clients were generated and compiled with the programs that use them, into `out`."""
    made = tmp_path_factory.mktemp("clients")
    for name in ("fetch.ts", "hey-api.ts", "hey-api.config.mjs", "tsconfig.json"):
        shutil.copy(CLIENTS / name, made)
    shutil.copy(DOCUMENT, made / "openapi.json")
    (made / "node_modules").symlink_to(CLIENTS / "node_modules")
    run(made, "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts")
    run(made, "node_modules/@hey-api/openapi-ts/bin/run.js", "--file", "hey-api.config.mjs")
    run(made, "node_modules/typescript/bin/tsc", "--project", ".")
    return made


@pytest.mark.parametrize("program", ["fetch", "hey-api"])
def test_typescript_clients_create_page_patch_and_delete_in_both_dialects(
    shared: World, folder: Path, program: str
) -> None:
    owner = shared.principal("owner")
    with served(shared) as url:
        run(folder, f"out/{program}.js", url, owner["token"], owner["api_key"])
