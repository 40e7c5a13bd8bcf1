"""Purges of a space and of a principal that die, or run twice at once, wherever that is: each ends as one that runs
undisturbed, with each event told once.

What a request may commit while a space or a principal is deleted is in tests/routes/deletions: the orders in which a
create, a hand-over, a new member and a new credential can meet a deletion.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from atrium.store.engine.table import table
from atrium.store.purge import Deletion, Purge, queued
from local.functions import call
from local.template import Template
from tests.support.client import World
from tests.support.clock import unhurried
from tests.support.deletions import DONE, purge_all, records, rows_about, told
from tests.support.direct import Direct, direct
from tests.support.faults import Choose, Crash, faulty
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit, Count, full

pytestmark = pytest.mark.timeout(full(600, 1_800))


@dataclass
class Left:
    """The rows that a deletion left to be purged: the id of what was deleted, its record of the stream, and how often
    each event is told by its purge. A test starts with the same rows each time."""

    world: World
    template: Template
    id: str
    events: Counter[tuple[str, str]]
    rows: dict[Any, Any]
    table: Direct

    @property
    def batch(self) -> Any:
        return {"Records": [each for each in records() if each["dynamodb"]["NewImage"]["kind"]["S"] != "project"]}

    def restore(self) -> None:
        now = self.table.items()
        changed = [row for key, row in self.rows.items() if now.get(key) != row]
        self.table.write(changed, [*(now.keys() - self.rows.keys())])

    def told(self) -> Counter[tuple[str, str]]:
        about = ("space_member.*", "member.*", "project.*")
        found = Counter((event["type"], event["request_id"]) for event in told(self.world, *about))
        found.subtract(self.events)
        return +found

    def purged(self) -> Counter[tuple[str, str]]:
        """Purges what is left, and requires that all of it is gone. Returns the events of the purge."""
        purge_all(self.template)
        assert rows_about(self.id) == []
        require_sound()
        return self.told()


def made(world: World, template: Template, uuid: str) -> Left:
    left = Left(world, template, uuid, Counter(), direct().items(), direct())
    left.events = left.told()
    return left


@pytest.fixture(params=["space", "principal"])
def left(
    request: pytest.FixtureRequest, world: World, template: Template, before_commit: BeforeCommit
) -> Iterator[Left]:
    """A space in which a project slipped in; or a principal with memberships, roles, credentials, and a project that it
    was made the manager of at that time."""
    if request.param == "space":
        space = world.projects("research").rpartition("/")[0]
        before_commit(lambda other: other("DELETE", space))
        assert world("POST", f"{space}/projects", {"name": "Apollo"}).status == 201
        uuid = space.rpartition("/")[2]
    else:
        uuid = world.uuid("viewer")
        world.new_member(world.new_project(), "viewer", "contributor")
        project = world.new_project(by="contributor")
        world.new_member(project, "viewer", "viewer")
        before_commit(lambda other: other("PATCH", project, {"manager_id": uuid}))
        assert world("DELETE", f"/v1/principals/{uuid}").status == 204
    found = made(world, template, uuid)
    yield found
    found.table.close()


def points(calls: int) -> list[int]:
    """The numbers of calls at which something happens: all of them in full."""
    return [*range(1, calls + 1, full(5, 1))]


def calls_of(left: Left) -> int:
    with faulty(lambda *_: None, unhurried()) as client:
        assert call(left.template.functions["PurgeDeleted"], left.batch) == DONE
    return len(client.calls)


def test_purge_that_dies_at_any_call_is_finished_by_the_next_one(left: Left, count: Count) -> None:
    calls = calls_of(left)
    expected = left.purged()
    assert sum(expected.values()) >= 4
    both = ("crash before", "crash after")
    for number, at in enumerate(points(calls)):
        for fault in both if full(0, 1) else (both[number % 2],):
            left.restore()
            with faulty(dying(at, fault), unhurried()) as client, pytest.raises(Crash):
                call(left.template.functions["PurgeDeleted"], left.batch)
            assert len(client.calls) == at
            assert left.purged() == expected, (at, fault)
            count(deaths=1)


def dying(at: int, fault: str) -> Choose:
    return lambda number, *_: fault if number == at else None


def test_purge_with_another_at_any_call_tells_each_event_once(left: Left, count: Count) -> None:
    calls = calls_of(left)
    expected = left.purged()
    for at in points(calls):
        left.restore()
        batch = left.batch
        (deletion,) = [Deletion.of(row) for row in queued(table()) if row["kind"] != "project"]
        with faulty(met(at, partial(Purge, table(), deletion)), unhurried()):
            assert call(left.template.functions["PurgeDeleted"], batch) == DONE
        assert left.purged() == expected, at
        count(meetings=1)


def met(at: int, purge: Callable[[], Purge]) -> Choose:
    """Before the call of this number another purge runs, as far as it can go without waiting."""
    meets = [at]

    def choose(number: int, *_: Any) -> None:
        if meets and number == meets[0]:
            meets.clear()
            purge().run()

    return choose
