"""`make redrive`, on an instance that runs and on one that does not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.letters import Letters
from local.template import ROOT
from tests.support.clock import NET
from tests.support.processes import running, wait_for
from tests.support.redrive import DONE, requested, waiting


def made_again(directory: Path) -> tuple[int, Any]:
    """The status and the summary of `make redrive`."""
    command = [sys.executable, "-m", "local.redrive"]
    environment = {**os.environ, "DATA_DIR": str(directory)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_make_redrive_sends_dead_letters_again_with_and_without_a_running_instance(tmp_path: Path) -> None:
    assert made_again(tmp_path) == (2, f"{tmp_path} holds no data of `make run`. Set DATA_DIR.\n")
    letters = Letters(tmp_path / "dead-letters.jsonl")
    with running(tmp_path) as instance:
        world = instance.world
        letters.add("DeadLetters", {"messageId": "m-1", "body": json.dumps(requested(world))})
        assert made_again(tmp_path) == (0, {"sent": 1, **DONE})
        (project,) = world("GET", world.projects()).body["data"]
        letters.add("DeadLetters", {"detail-type": "other"})
        letters.add("DeadLetters", {"messageId": "m-2", "body": json.dumps(requested(world))})
        instance.kill_group()
        wait_for(lambda: not instance.members())
    status, summary = made_again(tmp_path)
    assert (status, summary["sent"], summary["left"]) == (1, 1, 1)
    assert waiting(letters) == [{"detail-type": "other"}]
    with running(tmp_path) as instance:
        assert instance.world("GET", instance.world.projects()).body["data"] == [project]
