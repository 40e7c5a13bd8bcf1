"""The check's event, its permissions, and the command that runs it on a laptop."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from atrium.automation import checking
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.store.engine.table import Table
from atrium.store.fsck import check as checks
from local.endpoints import endpoints_of
from local.fsck import checked
from local.functions import FunctionFailed
from local.template import ROOT, TABLE_NAME, Template
from tests.support.client import World, v1_id
from tests.support.clock import NET
from tests.support.damage import DAMAGE
from tests.support.iam import needless, of_its_calls, statements
from tests.support.place import Place, furnish
from tests.support.processes import Instance, running
from tests.support.rows import Rows, rows_here
from tests.support.trace import Trace
from tests.support.world import the_template


@pytest.mark.parametrize(
    "event",
    [
        {"repair": 1},
        {"repair": "true"},
        {"tenant": "x"},
        {"tenant_id": "x"},
        {"after": ["PULSE"]},
        {"segment": 4, "segments": 4},
        {"segment": -1},
    ],
)
def test_an_event_with_an_unknown_or_invalid_field_is_refused(
    shared: World, check: Callable[..., Any], event: dict[str, Any]
) -> None:
    with pytest.raises(FunctionFailed) as failure:
        check(**event)
    assert failure.value.error_type == "Refused"
    assert next(iter(event)) in failure.value.message


def test_the_check_uses_all_of_its_permissions_and_only_redrive_may_scan_too(
    traced: tuple[World, Trace], template: Template
) -> None:
    world, trace = traced
    place = furnish(world, rows_here())
    for kind in ("orphan", "list_row_missing", "members_miscounted", "due_row_missing", "purge_overdue"):
        next(iter(DAMAGE[kind][1].values()))(place)
    DAMAGE["purge_overdue"][1]["principal"](place)
    trace.clear()
    summary = trace.invoke(template.functions["Fsck"], {"repair": True})
    assert (summary["left"], len(summary["repaired"])) == ({}, 5)
    assert needless(of_its_calls(template, "Fsck"), trace.asked("Fsck")) == set()
    scanning = {name for name in template.functions if "dynamodb:Scan" in str(statements(template, name))}
    assert scanning == {"Fsck", "Redrive"}


def command(directory: Path, *arguments: str, **environment: str) -> tuple[int, Any]:
    """Runs the command; returns its status, and its summary or its errors."""
    done = subprocess.run(
        [sys.executable, "-m", "local.fsck", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(directory), **environment},
        capture_output=True,
        text=True,
        timeout=NET,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """`make run`, once its tenants exist. The test of a stopped instance stops it."""
    with running(tmp_path_factory.mktemp("checked"), (sys.executable, "-m", "local.run")) as made:
        yield made


def lose_a_space_member(directory: Path) -> str:
    """Deletes the row of a space member who is no owner, of whom a space has a number; and returns its tenant."""
    with endpoints_of(directory, the_template()) as endpoints:
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoints["dynamodb"],
            aws_access_key_id=endpoints["access_key_id"],
            aws_secret_access_key="unused",
        )
        rows = Rows(client, TABLE_NAME)
        members = [row for row in rows.all() if "#S#" in row["pk"] and row["sk"].startswith("ROLE#")]
        (key, *_) = [Key(row["pk"], row["sk"]) for row in members if row["role"] != "owner"]
        rows.delete(key)
        return key.pk.split("#")[1]


MISSING = {"space_member_missing": 1}


def test_the_command_checks_and_repairs_a_running_instance(instance: Instance) -> None:
    tenant = lose_a_space_member(instance.directory)
    status, summary = command(instance.directory)
    assert (status, summary["left"]) == (1, MISSING)
    status, summary = command(instance.directory, "--repair")
    assert (status, summary["repaired"], summary["left"]) == (0, MISSING, {})
    status, summary = command(instance.directory, TENANT=v1_id(tenant))
    assert (status, summary["clean"], summary["damage"], summary["rows"]["principal"]) == (0, True, {}, 4)
    assert instance.process.poll() is None


def test_the_command_checks_and_repairs_a_stopped_instance(instance: Instance) -> None:
    lose_a_space_member(instance.directory)
    instance.process.send_signal(signal.SIGTERM)
    instance.process.wait(NET)
    status, summary = command(instance.directory, REPAIR="1")
    assert (status, summary["repaired"], summary["left"]) == (0, MISSING, {})
    status, summary = command(instance.directory)
    assert (status, summary["clean"], summary["damage"], summary["rows"]["principal"]) == (0, True, {}, 8)


def in_order(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary with its details sorted by key. A check reads in the order of the table's hashed ids, by batches."""
    return {**summary, "details": sorted(summary["details"], key=lambda detail: detail["key"])}


def test_the_command_repeats_until_the_whole_table_is_checked(
    place: Place, template: Template, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("orphan", "list_row_missing", "members_miscounted"):
        next(iter(DAMAGE[kind][1].values()))(place)
    whole = in_order(check())
    monkeypatch.setattr(checks, "MAX_BATCH", 7)
    monkeypatch.setattr(checking, "deadline", lambda _: partial(next, iter([False]), True))
    assert check()["after"] is not None
    assert in_order(checked(template.functions["Fsck"], {})) == whole
    assert checked(template.functions["Fsck"], {"repair": True})["left"] == {}


def test_the_command_ends_when_a_run_makes_no_progress(
    place: Place, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Table, "get_all", refuse)
    summary = checked(template.functions["Fsck"], {})
    assert (summary["complete"], summary["clean"], summary["rows"]) == (False, False, {})


def test_a_missing_data_directory_or_an_unknown_argument_gives_one_line_and_status_2(tmp_path: Path) -> None:
    assert command(tmp_path / "nothing") == (2, f"{tmp_path / 'nothing'} holds no data of `make run`. Set DATA_DIR.\n")
    assert not (tmp_path / "nothing").exists()
    assert command(tmp_path, "--force") == (2, "The only argument is --repair.\n")
