"""The log of the functions without a URL: published events, purges, sweeps."""

import os
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto.events.models import EventPattern

from atrium import keys
from atrium.ids import new_ids
from atrium.store import purge
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Range, table
from atrium.store.engine.wire import wire_item
from local.functions import call
from local.template import Template
from tests.support.client import World
from tests.support.clock import NET
from tests.support.faults import faulty
from tests.support.logs import Said, measured
from tests.support.rows import meta_of, rows_here


def test_the_lag_of_each_published_event_is_logged(world: World, template: Template, said: Said) -> None:
    meta = meta_of(world, world.new_project())
    (earlier,) = new_ids(1, round((datetime.now(UTC) - timedelta(seconds=90)).timestamp() * 1000))
    rows = rows_here()
    rows.copy(keys.event(meta["tenant"], meta["last_events"][-1]), keys.event(meta["tenant"], earlier))
    record = {"dynamodb": {"NewImage": wire_item({**meta, "last_events": [earlier]}), "SequenceNumber": "1"}}
    said()
    done = call(template.functions["PublishEvents"], {"Records": [record] * 101})
    assert done == {"batchItemFailures": []}
    lines = said()
    assert [line["events"] for line in lines] == [100, 1]
    for line in lines:
        assert (line["message"], line["Stack"]) == ("Published", "atrium")
        assert measured(line) == ({"Stack"}, {"EventLag"})
        assert len(line["EventLag"]) == line["events"]
        assert all(90_000 <= lag < 90_000 + NET * 1_000 for lag in line["EventLag"])


def test_an_unpublished_event_logs_no_lag(world: World, template: Template, said: Said) -> None:
    record = {"dynamodb": {"NewImage": wire_item(meta_of(world, world.new_project())), "SequenceNumber": "1"}}
    world.bus.before = lambda entries: range(len(entries))
    said()
    done = call(template.functions["PublishEvents"], {"Records": [record]})
    assert done == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert said() == [{"message": "Not published", "level": "WARN", "published": 0, "failed": 1}]


def test_a_sweep_logs_itself_and_each_purge(world: World, template: Template, said: Said) -> None:
    project = world.new_project()
    assert world("DELETE", project).status == 204
    (row,) = purge.queued(table())
    said()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        assert call(template.functions["SweepDeleted"], {}) == {"found": 1, "purged": 1}
    purged, swept = said()
    del purged["_aws"], swept["_aws"]
    assert purged == {
        "message": "Purged",
        "level": "INFO",
        "tenant": row["tenant"],
        "project": row["project"],
        "task": None,
        "space": row["space"],
        "principal": None,
        "Stack": "atrium",
        "PurgedRows": 1,
        "PurgedDeletions": 1,
    }
    assert swept == {
        "message": "Swept",
        "level": "INFO",
        "found": 1,
        "Stack": "atrium",
        "SweptDeletions": 1,
        "OverdueDeletions": 0,
    }


def test_a_failing_sweep_logs_the_number_of_overdue_deletions(world: World, template: Template, said: Said) -> None:
    for project in (world.new_project(), world.new_project()):
        assert world("DELETE", project).status == 204
    said()
    unreadable = [{"pk": row["pk"], "sk": row["sk"]} for row in purge.queued(table())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrium.automation.streams.SWEPT_AFTER", timedelta(seconds=-1))
        with faulty(lambda _, operation, __: "unknown" if operation == "GetItem" else None):
            assert call(template.functions["SweepDeleted"], {}) == {"found": 2, "purged": 0}
    *failures, swept = said()
    assert [line["message"] for line in failures] == ["Not purged"] * len(unreadable)
    assert (swept["SweptDeletions"], swept["OverdueDeletions"]) == (0, 2)


def test_unreadable_rows_of_the_purge_queue_are_logged_by_the_stream_and_by_each_sweep(
    world: World, template: Template, said: Said
) -> None:
    client, rows = boto3.client("dynamodb"), [{"pk": {"S": "PURGE#0"}, "sk": {"S": f"odd-{n}"}} for n in range(12)]
    for row in rows:
        client.put_item(TableName=os.environ["TABLE_NAME"], Item={**row, "deleted_at": {"N": "1"}})
    told = {"message": "No deletion can be read", "level": "ERROR"}
    said()
    record = {"dynamodb": {"NewImage": rows[0], "SequenceNumber": "7"}}
    assert call(template.functions["PurgeDeleted"], {"Records": [record]}) == {"batchItemFailures": []}
    assert said() == [{**told, "rows": 1, "deletions": ["7"]}]
    for _ in range(2):
        assert call(template.functions["SweepDeleted"], {}) == {"found": 12, "purged": 0}
        line, swept = said()
        assert len(line.pop("deletions")) == 10
        assert line == {**told, "rows": 12}
        assert (swept["SweptDeletions"], swept["OverdueDeletions"]) == (0, 12)


def test_each_sweep_writes_a_pulse_and_the_publisher_is_invoked_for_it_without_publishing(
    world: World, template: Template, said: Said
) -> None:
    assert call(template.functions["SweepDeleted"], {}) == {"found": 0, "purged": 0}
    with scope(None, purges=True):
        pulse = table().query(Range(keys.PULSE.pk, "!", "~", 10))
    (row,) = pulse
    assert abs(datetime.fromisoformat(row["at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    image = wire_item(row)
    record = {
        "eventName": "MODIFY",
        "dynamodb": {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image, "SequenceNumber": "1"},
    }
    reads = {
        source.function.name
        for source in template.event_sources
        if any(EventPattern.load(pattern).matches_event(record) for pattern in source.filters)
    }
    assert reads == {"PublishEvents"}
    said()
    assert call(template.functions["PublishEvents"], {"Records": [record]}) == {"batchItemFailures": []}
    assert (world.bus.events, said()) == ([], [])
