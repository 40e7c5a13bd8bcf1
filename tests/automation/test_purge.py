"""A deletion answers at once, at any size of the project; a later purge finishes an interrupted one."""

import json
import os
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from atrium import keys
from atrium.automation import streams
from atrium.errors import Unavailable
from atrium.ids import new_id
from atrium.models import timestamp
from atrium.store import purge
from atrium.store.engine.table import table
from atrium.store.engine.wire import wire_item, wire_key
from local.functions import FunctionFailed, call
from local.template import TABLE_NAME, Template
from tests.support.client import RECORDS, World, flat_id, flat_path
from tests.support.clock import unhurried
from tests.support.faults import faulty
from tests.support.killer import Killer
from tests.support.rows import fill, id_of, rows_naming
from tests.support.world import Crowd, full


def queued(crowd: Crowd, sk: str) -> Any:
    """A row of the purge queue, in the client's form."""
    for shard in range(8):
        key = {"pk": {"S": f"PURGE#{shard}"}, "sk": {"S": sk}}
        item = crowd.client.get_item(TableName=TABLE_NAME, Key=key, ConsistentRead=True).get("Item")
        if item:
            return item
    raise AssertionError("not in the purge queue")


def deletion(crowd: Crowd, project: str, task: str | None = None) -> dict[str, Any]:
    """The stream's record of a deletion."""
    tenant = flat_id(crowd.world.dev["tenants"]["acme"]["tenant_id"])
    sk = f"{tenant}#{id_of(project)}" + (f"#{id_of(task)}" if task else "")
    return {"eventName": "INSERT", "dynamodb": {"NewImage": queued(crowd, sk), "SequenceNumber": "100"}}


LONG_AGO = "2020-01-01T00:00:00.000Z"
DONE: dict[str, Any] = {"batchItemFailures": []}


def test_deleting_a_project_makes_the_same_calls_at_any_size(crowd: Crowd) -> None:
    world = crowd.world
    asked = []
    for count in (0, full(500, 10_000)):
        project = world.new_project()
        if count:
            fill(crowd, project, count)
        requests: list[tuple[str, int]] = []
        crowd.proxy.before = lambda operation, request, seen=requests: seen.append(  # type: ignore[misc]
            (operation, len(json.dumps(request)))
        )
        assert world("DELETE", project).status == 204
        crowd.proxy.before = lambda operation, request: None
        asked.append([(operation, size) for operation, size in requests if operation != "GetItem"])
        assert world("GET", project).status == 404
        assert world("GET", flat_path(project)).status == 404
        assert world("GET", f"{project}/tasks").status == 404
        assert world("GET", f"{flat_path(project)}/datasets").status == 404
        assert id_of(project) not in {item["_id"] for item in world("GET", "/projects").body}
    assert [operation for operation, _ in asked[0]] == ["BatchGetItem", "TransactWriteItems"]
    assert [operation for operation, _ in asked[1]] == ["BatchGetItem", "TransactWriteItems"]
    assert asked[1][0][1] == asked[0][0][1]


def test_a_purge_removes_every_row_and_the_queues_last(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    project = world.new_project()
    for name in ("viewer", "outsider"):
        world.new_member(project, name, "viewer")
    fill(crowd, project, full(500, 10_000))
    assert world("DELETE", project).status == 204
    batch = {"Records": [deletion(crowd, project)]}
    assert crowd.invoke(template.functions["PurgeDeleted"], batch) == DONE
    assert rows_naming(crowd, id_of(project)) == []
    assert crowd.invoke(template.functions["PurgeDeleted"], batch) == DONE, "a second purge has no work to do"
    summary = crowd.invoke(template.functions["Fsck"], {})
    assert summary["complete"]
    assert id_of(project) not in json.dumps(summary)


def test_a_purge_logs_the_number_of_removed_rows(
    world: World, template: Template, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number is a metric in the log, in the embedded metric format."""
    project = world.new_project()
    for kind in RECORDS:
        world.new_record(project, kind)
    assert world("DELETE", project).status == 204
    (row,) = purge.queued(table())
    record = {"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": "100"}}
    capsys.readouterr()
    assert call(template.functions["PurgeDeleted"], {"Records": [record]}) == DONE
    (metrics,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (metrics["PurgedRows"], metrics["PurgedDeletions"]) == (5, 1)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Atrium"


def test_a_deleted_tasks_notes_are_purged_and_no_others(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    project = world.new_project()
    doomed, kept = (world.new_record(project, "tasks") for _ in range(2))
    for task in (doomed, kept):
        for number in range(3):
            world.new_note(task, f"Note {number}")
    assert world("DELETE", doomed).status == 204
    assert rows_naming(crowd, id_of(project)).count("P TASKNOTE") == 6
    batch = {"Records": [deletion(crowd, project, doomed)]}
    assert crowd.invoke(template.functions["PurgeDeleted"], batch) == DONE
    assert rows_naming(crowd, id_of(doomed)) == []
    assert len(world("GET", f"{flat_path(kept)}/notes").body) == 3


def test_an_undeleted_project_is_never_purged(crowd: Crowd, template: Template) -> None:
    """Even if a mistake put its row into the queue, in any of these forms."""
    world = crowd.world
    project = world.new_project()
    task = world.new_record(project, "tasks")
    note = world.new_note(task)
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    row = {"kind": "project", "tenant": tenant, "project": id_of(project), "deleted_at": "2026-01-01T00:00:00.000Z"}
    of_task, owner = {"kind": "task", "task": id_of(task)}, world.id("owner")
    rows: tuple[tuple[Any, dict[str, Any]], ...] = (
        (keys.purge(tenant, id_of(project)), {**row, "space": tenant}),
        (keys.purge(tenant, id_of(project), id_of(task)), {**row, **of_task}),
        (keys.purge(tenant, id_of(project)), row),
        (keys.purge(tenant, id_of(project)), {**row, "space": "*"}),
        (keys.purge_of_space(tenant, tenant), {**without(row), "kind": "space", "space": tenant}),
        (keys.purge_of_principal(tenant, owner), {**without(row), "kind": "principal", "principal": owner}),
    )
    for key, named in rows:
        record = {"dynamodb": {"NewImage": {**wire_key(key), **wire_item(named)}, "SequenceNumber": "100"}}
        answer = crowd.invoke(template.functions["PurgeDeleted"], {"Records": [record]})
        assert answer == DONE, "the record is done, without a purge"
    assert world("GET", flat_path(task)).body["notes"][0]["_id"] == note.rpartition("/")[2]
    assert len(world("GET", "/v1/me").body["spaces"]) == 2


def without(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "project"}


# ---------------------------------------------------------------- an interrupted purge


@pytest.fixture
def creating(crowd: Crowd) -> Iterator[Any]:
    """Starts clients that create records and members below a project until it is gone."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def create(project: str, kind: str) -> None:
        while not stop.is_set():
            if kind == "members":
                body = {"principal_id": crowd.world.uuid("viewer"), "role_id": crowd.world.role("viewer")}
            else:
                body = RECORDS[kind]
            if crowd.world("POST", f"{project}/{kind}", body).status == 404:
                return

    def start(project: str) -> None:
        for kind in ("tasks", "decisions", "members"):
            threads.append(threading.Thread(target=create, args=(project, kind)))
            threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def purge_with_a_death(crowd: Crowd, template: Template, creating: Any, at: int, when: str, count: int) -> bool:
    """Deletes a project in use, purges it with a kill at call number `at`, purges it again, and requires that no row is
    left. Returns whether the first purge reached that call.
    """
    world = crowd.world
    project = world.new_project()
    world.new_member(project, "contributor", "contributor")
    fill(crowd, project, count)
    creating(project)
    assert world("DELETE", project).status == 204
    batch = {"Records": [deletion(crowd, project)]}
    killer = Killer(crowd, "PurgeDeleted", at, when)
    with pytest.raises(FunctionFailed):
        killer(template.functions["PurgeDeleted"], batch)
    assert crowd.invoke(template.functions["PurgeDeleted"], batch) == DONE
    assert rows_naming(crowd, id_of(project)) == []
    return killer.killed


# The calls of a purge of one page: the check for the deletion, the page, its rows by 25, the next page, the end.
CALLS_OF_A_PAGE = [
    "GetItem",
    "Query",
    "BatchWriteItem",
    "BatchWriteItem",
    "BatchWriteItem",
    "Query",
    "TransactWriteItems",
]


# A death after a call finds the table as one before the next call does, so `make test` has that of the last call only.
DEATHS = [(at, "before") for at in range(1, len(CALLS_OF_A_PAGE) + 1)]
DEATHS += [(at, "after") for at in range(full(len(CALLS_OF_A_PAGE), 1), len(CALLS_OF_A_PAGE) + 1)]


@pytest.mark.parametrize(("at", "when"), DEATHS)
def test_a_purge_killed_at_any_call_is_finished_by_the_next_one(
    crowd: Crowd, template: Template, creating: Any, at: int, when: str
) -> None:
    assert purge_with_a_death(crowd, template, creating, at, when, 50)


@pytest.mark.timeout(1_800)
def test_a_big_purge_killed_anywhere_is_finished_by_the_next_one(
    crowd: Crowd, template: Template, creating: Any
) -> None:
    chance = random.Random(3)
    count = full(500, 2_000)
    killed = 0
    for _ in range(full(3, 100)):
        at, when = chance.randint(1, count // 25), chance.choice(["before", "after"])
        killed += purge_with_a_death(crowd, template, creating, at, when, count)
    assert killed >= full(2, 90)


def test_a_purge_out_of_time_is_unfinished_and_the_next_one_finishes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.new_project()
    for _ in range(5):
        world.new_record(project, "decisions")
    assert world("DELETE", project).status == 204
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    monkeypatch.setattr(purge, "PAGE", 2)
    (row,) = purge.queued(table())
    assert row["tenant"] == tenant
    pages = iter([False, True])
    one = purge.Purge(table(), purge.Deletion.of(row))
    assert one.run(lambda: next(pages)) is False
    assert 2 <= one.removed < 6
    another = purge.Purge(table(), purge.Deletion.of(row))
    assert another.run() is True
    assert one.removed + another.removed == 6
    assert list(purge.queued(table())) == []


# ---------------------------------------------------------------- the sweep


def test_the_sweep_purges_deletions_older_than_an_hour_despite_a_bad_row(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    long_ago = timestamp(datetime.now(UTC) - timedelta(minutes=61))
    deleted = [world.new_project() for _ in range(3)]
    for project in deleted:
        world.new_record(project, "tasks")
        assert world("DELETE", project).status == 204
    fresh, *old = deleted
    for project in old:
        item = deletion(crowd, project)["dynamodb"]["NewImage"]
        crowd.client.put_item(TableName=TABLE_NAME, Item=item | {"deleted_at": {"S": long_ago}})
    bad = unreadable_rows(world)
    for row in bad:
        crowd.client.put_item(TableName=TABLE_NAME, Item=row)
    assert crowd.invoke(template.functions["SweepDeleted"], {}) == {"found": len(bad) + 2, "purged": 2}
    for project in old:
        assert rows_naming(crowd, id_of(project)) == []
    assert "PURGE" in rows_naming(crowd, id_of(fresh))
    assert crowd.invoke(template.functions["SweepDeleted"], {}) == {"found": len(bad), "purged": 0}
    repaired = crowd.invoke(template.functions["Fsck"], {"repair": True})["repaired"]
    assert repaired == {"queue_row_malformed": len(bad)}
    assert crowd.invoke(template.functions["SweepDeleted"], {}) == {"found": 0, "purged": 0}


def unreadable_rows(world: World) -> list[dict[str, Any]]:
    """Malformed rows of the purge queue, in each of its shards: without fields of a deletion, with numbers, sets and
    bytes as values, and one with the content of another row.
    """
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    fields = {name: {"S": tenant} for name in ("tenant", "project", "space")} | {"deleted_at": {"S": LONG_AGO}}
    fields |= {"kind": {"S": "project"}}
    odd: list[dict[str, Any]] = [{"N": "1.5"}, {"N": "7"}, {"SS": ["a"]}, {"B": b"a"}, {"NULL": True}, {"BOOL": True}]
    odd += [{"M": {"a": {"N": "1.5"}}}, {"L": []}, {"S": ""}, {"S": "yesterday"}]
    made: list[dict[str, Any]] = [{**fields, name: value} for name in fields for value in odd]
    made += [{}, {"deleted_at": fields["deleted_at"]}, fields, {**fields, "task": {"S": tenant}}]
    keyed = [(f"PURGE#{number % 8}", f"odd-{number}") for number in range(len(made))]
    # This row has the key of a missing project's deletion.
    keyed[1] = keys.purge(tenant, new_id())
    return [{**row, "pk": {"S": pk}, "sk": {"S": sk}} for row, (pk, sk) in zip(made, keyed, strict=True)]


def test_an_unavailable_shard_does_not_stop_the_sweep_of_the_others(
    world: World, template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in [world.new_project() for _ in range(12)]:
        assert world("DELETE", project).status == 204
    silent = next(iter(purge.queued(table())))["pk"]
    left = sorted(row["sk"] for row in purge.queued(table()) if row["pk"] == silent)
    monkeypatch.setattr(streams, "SWEPT_AFTER", timedelta())
    read = purge._shard

    def shard(table_: Any, pk: str) -> Iterator[Any]:
        if pk == silent:
            raise Unavailable
        return read(table_, pk)

    with monkeypatch.context() as patch:
        patch.setattr(purge, "_shard", shard)
        with pytest.raises(FunctionFailed, match="Unavailable"):
            call(template.functions["SweepDeleted"], {})
    assert sorted(row["sk"] for row in purge.queued(table())) == left
    assert call(template.functions["SweepDeleted"], {}) == {"found": len(left), "purged": len(left)}


def test_the_queue_is_read_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "PAGE", 2)
    deleted = [world.new_project() for _ in range(12)]
    for project in deleted:
        assert world("DELETE", project).status == 204
    assert sorted(row["project"] for row in purge.queued(table())) == sorted(map(id_of, deleted))


def test_reads_of_the_queue_start_at_random_places(world: World) -> None:
    """At a random shard, and at a random row of the shard. Of 9 rows in 8 shards, two share a shard."""
    for project in [world.new_project() for _ in range(9)]:
        assert world("DELETE", project).status == 204
    shards: dict[str, list[str]] = {}
    for row in sorted(purge.queued(table()), key=lambda row: row["sk"]):
        shards.setdefault(row["pk"], []).append(row["sk"])
    assert sum(map(len, shards.values())) == 9
    first, begun = set(), set()
    for _ in range(40):
        found: dict[str, list[str]] = {}
        for row in purge.queued(table()):
            found.setdefault(row["pk"], []).append(row["sk"])
        first.add(next(iter(found)))
        for pk, rows in found.items():
            place = shards[pk].index(rows[0])
            assert rows == shards[pk][place:] + shards[pk][:place]
            begun.add((pk, place))
        assert found.keys() == shards.keys()
    assert len(first) > 1
    assert any(place > 0 for _, place in begun)


@pytest.fixture
def giant(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The rows of the purge queue: a project with more rows than one run can purge, then eleven small projects. By
    the function's clock each call to the table takes a second.
    """
    for project in [world.new_project() for _ in range(12)]:
        world.new_record(project, "decisions")
        assert world("DELETE", project).status == 204
    rows = sorted(purge.queued(table()), key=lambda row: (row["pk"], row["sk"]))
    client, name = boto3.client("dynamodb"), os.environ["TABLE_NAME"]
    pk = keys.project(rows[0]["tenant"], rows[0]["project"]).pk
    for _ in range(16):
        puts = [{"PutRequest": {"Item": wire_item({"pk": pk, "sk": f"DECISION#{new_id()}"})}} for _ in range(25)]
        assert not client.batch_write_item(RequestItems={name: puts})["UnprocessedItems"]
    clock = unhurried()
    for module, attribute, value in ((purge, "time", clock), (purge, "PAGE", 2), (streams, "SWEPT_AFTER", timedelta())):
        monkeypatch.setattr(module, attribute, value)
    with faulty(lambda *_: clock.sleep(1), clock):
        yield rows


def test_a_giant_deletion_delays_no_other_in_a_sweep(giant: Any, template: Template) -> None:
    function = template.functions["SweepDeleted"]
    assert call(function, {}) == {"found": 12, "purged": 11}
    assert [row["project"] for row in purge.queued(table())] == [giant[0]["project"]]
    assert call(function, {}) == {"found": 1, "purged": 1}
    assert list(purge.queued(table())) == []


def test_a_giant_deletion_delays_no_other_of_its_batch(giant: Any, template: Template) -> None:
    function = template.functions["PurgeDeleted"]
    batch = [
        {"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": str(number)}} for number, row in enumerate(giant)
    ]
    assert call(function, {"Records": batch}) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert [row["project"] for row in purge.queued(table())] == [giant[0]["project"]]
    assert call(function, {"Records": batch[:1]}) == DONE
    assert list(purge.queued(table())) == []


def test_a_record_without_a_deletion_is_logged_and_delays_no_other(crowd: Crowd, template: Template) -> None:
    world = crowd.world
    project = world.new_project()
    assert world("DELETE", project).status == 204
    poison = {"eventName": "INSERT", "dynamodb": {"NewImage": {"pk": {"S": "PURGE#1"}}, "SequenceNumber": "99"}}
    batch = {"Records": [poison, deletion(crowd, project)]}
    assert crowd.invoke(template.functions["PurgeDeleted"], batch) == DONE
    assert rows_naming(crowd, id_of(project)) == []
