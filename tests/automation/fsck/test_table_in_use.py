"""The check of a table in use."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atrium import keys
from atrium.store.engine.table import Item, Table
from atrium.store.engine.wire import wire_item
from local.template import TABLE_NAME, Template
from tests.support.client import Answer, flat_id, flat_path, new_key
from tests.support.damage import DAMAGE
from tests.support.place import TASK, Place, furnish, last
from tests.support.rows import Rows, clean
from tests.support.world import Crowd, full


@pytest.mark.parametrize("change", ["rename", "hand over", "delete", "join", "grant"])
def test_a_repair_leaves_rows_changed_before_its_commit_alone(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The change commits after the second look, right before the repair."""
    world = place.world
    viewer = place.person("viewer")
    new = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}

    def grant() -> None:
        spaces = (place.rows.get(viewer) or {})["spaces"]
        place.rows.change(viewer, spaces={**spaces, place.tenant: "contributor"}, sequence=1_000)

    races: dict[str, tuple[str, Callable[[], Answer | None]]] = {
        "rename": ("list_row_differs", partial(world, "PATCH", place.path, {"name": "Renamed"})),
        "hand over": (
            "manager_demoted",
            partial(world, "PATCH", place.path, {"manager_id": world.uuid("contributor")}),
        ),
        "delete": ("list_row_differs", partial(world, "DELETE", place.path)),
        "join": ("members_miscounted", partial(world, "POST", f"{place.path}/members", new)),
        # By hand: a route would change the row of the member, too. The viewer keeps its other spaces.
        "grant": ("space_member_differs", grant),
    }
    seed, request = races[change]
    next(iter(DAMAGE[seed][1].values()))(place)
    commit = Table.transact
    watched = [
        place.meta,
        place.listed,
        *map(place.member, ("owner", "contributor", "viewer")),
        place.in_space("viewer"),
    ]
    left: list[Any] = []

    def transact(table_: Table, writes: Any, token: str) -> None:
        monkeypatch.setattr(Table, "transact", commit)
        answer = request()
        assert answer is None or answer.status < 300
        left.extend(map(place.rows.get, watched))
        commit(table_, writes, token)

    monkeypatch.setattr(Table, "transact", transact)
    summary = check(repair=True)
    assert list(map(place.rows.get, watched)) == left
    assert [detail["done"] for detail in summary["details"]] == ["left, it has changed since"]
    assert (summary["repaired"], summary["left"]) == ({}, {seed: 1})
    check(repair=True)
    assert clean(check())


def test_rows_changed_at_the_second_look_are_no_damage(
    place: Place, check: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look sees half of a transaction and the second all of it; then rows change at every look."""
    listed = place.rows.get(place.listed)
    assert listed is not None
    place.rows.delete(place.listed)
    monkeypatch.setattr(time, "sleep", lambda _: place.rows.put(place.listed, listed))
    assert clean(check())

    numbers = iter(range(100))
    monkeypatch.setattr(time, "sleep", lambda _: place.rows.change(place.listed, name=str(next(numbers))))
    place.rows.change(place.listed, name="other")
    summary = check(repair=True)
    assert (summary["damage"], summary["unsettled"], summary["complete"]) == ({}, 1, True)


def test_concurrent_writers_cause_no_false_alarm_and_hide_no_damage(crowd: Crowd, template: Template) -> None:
    """Six threads make all changes that touch several rows, purges included, during the check."""
    world, function = crowd.world, template.functions["Fsck"]
    place = furnish(world, Rows(crowd.client, TABLE_NAME))
    crowd.invoke(template.functions["Fsck"], {"repair": True})  # other tests leave rows
    shared = world.new_project("Shared")
    done = threading.Event()
    statuses: list[int] = []

    def purge(row: Item) -> None:
        record = {"dynamodb": {"NewImage": wire_item(row), "SequenceNumber": "1"}}
        assert crowd.invoke(template.functions["PurgeDeleted"], {"Records": [record]}) == {"batchItemFailures": []}

    def work(number: int) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            path = world.new_project(f"{number}-{turn}")
            member = world.new_member(path, "outsider", "viewer")
            task = world("POST", f"{path}/tasks", TASK).body["id"]
            flat = f"{flat_path(path)}/tasks/{flat_id(task)}"
            answers: list[Answer] = [
                world("POST", f"{flat}/notes", {"content": "Remember"}, key=new_key()),
                world("PATCH", path, {"name": "B", "manager_id": world.uuid("outsider")}),
                world("PATCH", shared, {"name": f"{number}-{turn}"}),
                world("POST", f"{shared}/tasks", TASK),
                world("DELETE", flat),
                world("PATCH", path, {"manager_id": world.uuid("owner")}),
                world("DELETE", member),
                world("DELETE", path),
            ]
            statuses.extend(answer.status for answer in answers)
            # The record of the stream.
            deletion = place.rows.get(keys.purge(place.tenant, last(path)))
            assert deletion is not None
            purge(deletion)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(full(3, 6))]
    for thread in threads:
        thread.start()
    try:
        runs = 0
        while runs < full(2, 60) or len(statuses) < full(24, 600):
            assert all(thread.is_alive() for thread in threads)
            summary = crowd.invoke(function, {"repair": runs % 2 == 1})
            assert clean(summary), summary
            runs += 1
        place.rows.delete(place.listed)
        found = crowd.invoke(function, {"repair": True})
        assert (found["damage"], found["repaired"]) == ({"list_row_missing": 1}, {"list_row_missing": 1})
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not [row for row in place.rows.all() if "deleted_at" in row and row.get("name", "").startswith("B")]
    assert set(statuses) <= {200, 201, 202, 204}
    assert clean(crowd.invoke(function, {}))
