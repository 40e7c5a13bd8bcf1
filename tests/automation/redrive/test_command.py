"""`make redrive`, on an instance that runs and on one that does not."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from atrium import keys
from atrium.ids import new_ids
from local.letters import Letters
from local.template import ROOT, TABLE_NAME
from tests.support.client import flat_id, v1_id
from tests.support.clock import NET
from tests.support.place import GHOST
from tests.support.processes import Instance, running, wait_for
from tests.support.receiver import receivers
from tests.support.redrive import DONE, requested, waiting
from tests.support.rows import Rows

HOUR = timedelta(hours=1)


def made_again(directory: Path, **variables: str) -> tuple[int, Any]:
    """The status and the summary of `make redrive`."""
    command = [sys.executable, "-m", "local.redrive"]
    environment = {**os.environ, "DATA_DIR": str(directory), **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def redriven(directory: Path, **variables: str) -> tuple[int, Any]:
    """The same, with what was sent in all runs of it: a few while something fails, since a function gives the table up
    on a machine with much to do.
    """
    letters = events = 0
    for _ in range(5):
        status, summary = made_again(directory, **variables)
        of_events = summary.get("events", {})
        letters, events = letters + summary.get("sent", 0), events + of_events.get("sent", 0)
        if not summary.get("failed") and not of_events.get("failed"):
            break
    for part, sent in ((summary, letters), (of_events, events)):
        part |= {"sent": sent} if "sent" in part else {}
    return status, summary


def lose_an_event(instance: Instance) -> str:
    """An event of two hours ago that has no number, and that no stream has; its id."""
    place = json.loads((instance.directory / "endpoints.json").read_text())
    signed = {"aws_access_key_id": place["access_key_id"], "aws_secret_access_key": "unused"}
    rows = Rows(boto3.client("dynamodb", endpoint_url=place["dynamodb"], **signed), TABLE_NAME)
    (id,) = new_ids(1, round((datetime.now(UTC) - 2 * HOUR).timestamp() * 1000))
    told = {"type": "project.created", "actor_kind": "user", "resource": "{}", "project": GHOST, "space": GHOST}
    rows.put(keys.event(flat_id(instance.world.dev["tenants"]["acme"]["tenant_id"]), id), told)
    return id


def test_make_redrive_sends_dead_letters_and_lost_events_again_with_and_without_a_running_instance(
    tmp_path: Path,
) -> None:
    """Without one the functions run in the command, and webhooks get the event at the next start."""
    assert made_again(tmp_path) == (2, f"{tmp_path} holds no data of `make run`. Set DATA_DIR.\n")
    letters = Letters(tmp_path / "dead-letters.jsonl")
    events = {"complete": True, "after": None, "events": {"sent": 1, "failed": 0, "left": 0}}
    with receivers(1) as (receiver,):
        with running(tmp_path) as instance:
            world = instance.world
            letters.add("DeadLetters", {"messageId": "m-1", "body": json.dumps(requested(world))})
            assert redriven(tmp_path) == (0, {"sent": 1, **DONE})
            (project,) = world("GET", world.projects()).body["data"]
            tenant, id = world.dev["tenants"]["acme"]["tenant_id"], lose_an_event(instance)
            assert redriven(tmp_path, LEDGER="1") == (0, {"sent": 0, **DONE, **events})
            span = {"SINCE": str(datetime.now(UTC) - timedelta(hours=3)), "UNTIL": str(datetime.now(UTC) - HOUR)}
            assert redriven(tmp_path, TENANT=tenant, **span) == (0, events)
            told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
            assert [event["sequence"] for event in told if event["id"] == v1_id(id)] == [1, 1]
            letters.add("DeadLetters", {"detail-type": "other"})
            letters.add("DeadLetters", {"messageId": "m-2", "body": json.dumps(requested(world))})
            webhook = world("POST", "/v1/webhooks", {"url": receiver.url, "events": ["project.created"]}).body["id"]
            assert world("POST", f"/v1/webhooks/{webhook}/test", {}).status == 202
            wait_for(lambda: len(receiver.accepted) == 1)
            id = lose_an_event(instance)
            instance.kill_group()
            wait_for(lambda: not instance.members())
        status, summary = redriven(tmp_path, LEDGER="1")
        assert [detail["outcome"] for detail in summary.pop("details")] == ["left"]
        assert (status, {"details": [], **summary}) == (1, {"sent": 1, **DONE, "left": 1, **events})
        assert waiting(letters) == [{"detail-type": "other"}]
        with running(tmp_path) as instance:
            assert instance.world("GET", instance.world.projects()).body["data"] == [project]
            wait_for(lambda: receiver.accepted[1:] == [v1_id(id)])
