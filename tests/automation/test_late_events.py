"""Events of a writer whose clock was behind are listed again, where readers of the ledger have not been yet."""

import json
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest

from atrium import keys
from atrium.errors import Unavailable
from atrium.ids import milliseconds_of
from atrium.keys import Key
from atrium.store.engine import work
from atrium.store.engine.table import Item, Table
from atrium.store.engine.wire import wire_item
from atrium.store.rows import to_event
from local.functions import call
from local.template import Template
from tests.support.client import World, flat_id, v1_id
from tests.support.rows import Rows, clean, meta_of, rows_here

Record = dict[str, Any]
BEHIND = 60


@pytest.fixture
def rows(world: World) -> Rows:
    return rows_here()


def clock_behind(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) - timedelta(seconds=seconds)

    monkeypatch.setattr(work, "datetime", Behind)


def record(world: World, project: str, committed: int) -> Record:
    """The stream's record of the last change of a project, committed at a moment in the stream's whole seconds."""
    change = {"ApproximateCreationDateTime": committed, "NewImage": wire_item(meta_of(world, project))}
    return {"eventName": "MODIFY", "dynamodb": {**change, "SequenceNumber": "1"}}


def ledger(rows: Rows, project: str) -> list[Item]:
    """The rows about a project, by position."""
    id = flat_id(project.rpartition("/")[2])
    return sorted((row for row in rows.all() if row.get("project") == id and "#L#" in row["pk"]), key=lambda r: r["sk"])


def test_an_event_of_a_clock_that_is_behind_is_listed_again_once_under_its_id(
    world: World, template: Template, rows: Rows, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        clock_behind(patch, BEHIND)
        project = world.new_project()
    before = time.time()
    batch = {"Records": [record(world, project, int(before))]}
    capfd.readouterr()
    for _ in range(2):
        assert call(template.functions["PublishEvents"], batch) == {"batchItemFailures": []}
    (told,) = [line for line in map(json.loads, capfd.readouterr().out.splitlines()) if "LateEvents" in line]
    first, copy = ledger(rows, project)
    tenant = keys.tenant_of(first["pk"])
    assert to_event(tenant, copy) == to_event(tenant, first)
    assert milliseconds_of(first["sk"]) / 1000 <= before - BEHIND + 1
    assert milliseconds_of(copy["sk"]) >= int(before * 1000), "readers have not been there"
    assert (first.pop("relisted"), copy.pop("event")) == (copy["sk"], first["sk"])
    assert copy.pop("ttl") - first.pop("ttl") >= BEHIND - 1
    assert keys.event(tenant, copy["sk"]) == Key(copy.pop("pk"), copy.pop("sk"))
    id = first.pop("sk")
    del first["pk"]
    assert copy == first
    assert [(event["id"], event["sequence"]) for event in world.bus.details] == [(v1_id(id), 1)] * 2
    assert (told["LateEvents"], told["event"], told["level"]) == (1, id, "WARN")
    assert abs(told["seconds"] - BEHIND) <= 10
    assert clean(call(template.functions["Fsck"], {}))


@pytest.mark.parametrize(("seconds", "times"), [(18, 1), (20, 2), (-BEHIND, 1)])
def test_an_event_is_late_if_its_commit_follows_its_id_by_more_than_twenty_seconds(
    world: World, template: Template, rows: Rows, seconds: int, times: int
) -> None:
    """The stream has cut the moment of the commit down to the second."""
    project = world.new_project()
    decided = milliseconds_of(meta_of(world, project)["last_events"][0]) // 1000
    batch = {"Records": [record(world, project, decided + seconds)]}
    assert call(template.functions["PublishEvents"], batch) == {"batchItemFailures": []}
    assert len(ledger(rows, project)) == times


def test_an_event_that_could_not_be_listed_again_is_left_to_the_stream(
    world: World, template: Template, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.new_project()
    batch = {"Records": [record(world, project, int(time.time()) + BEHIND)]}

    def unavailable(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Table, "transact", unavailable)
        answer = call(template.functions["PublishEvents"], batch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(ledger(rows, project)) == 1
    assert call(template.functions["PublishEvents"], batch) == {"batchItemFailures": []}
    assert len(ledger(rows, project)) == 2
