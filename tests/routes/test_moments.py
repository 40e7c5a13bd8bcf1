"""Shown times never run backwards, with any difference between the clocks of processes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from atrium.models import timestamp
from atrium.store.engine import work
from tests.support.changes import event
from tests.support.client import World
from tests.support.requests import EVENTS, OF_PRINCIPALS, WRITES, a_project
from tests.support.world import BeforeCommit


@pytest.fixture
def an_hour_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Sets this process's clock back, once `behind.set()` is called."""
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(hours=1))
    yield SimpleNamespace(set=lambda: monkeypatch.setattr(work, "datetime", clock))
    monkeypatch.undo()


def moments(shown: Any) -> list[str]:
    """All moments of a thing but when it was created."""
    found = [shown[name] for name in ("updated_at", "updatedAt", "startedAt") if shown.get(name)]
    return found + [entry["at"] for entry in shown.get("completedBy", [])]


@pytest.mark.parametrize(
    "route",
    [
        route
        for route, type in EVENTS.items()
        if type not in ("project.created", "space.created", "webhook.created") and route not in OF_PRINCIPALS
    ],
)
def test_change_with_a_slow_clock_is_not_dated_before_the_previous_one(
    shared: World, an_hour_behind: SimpleNamespace, route: str
) -> None:
    project = a_project(shared)
    method, path, body = WRITES[route](shared, project)
    changed = project if "/projects" in path else path
    before = event(shared, changed)
    an_hour_behind.set()
    answer = shared(method, path, body)
    assert answer.status < 300
    after = event(shared, changed)
    assert after["sequence"] == before["sequence"] + 1
    assert after["time"] == before["time"], "the latest that is known"
    shown = answer.body or {}
    shown = shown["task"] if route == "ReassignTask" else shown
    assert set(moments(shown)) <= {after["time"]}


def test_hand_over_is_not_dated_before_the_last_change_of_the_new_manager(
    shared: World, an_hour_behind: SimpleNamespace
) -> None:
    project = shared.new_project()
    heir = shared.new_member(project, "viewer", "viewer")
    before = shared("GET", heir).body["updated_at"]
    an_hour_behind.set()
    assert shared("PATCH", project, {"manager_id": shared.uuid("viewer")}).status == 200
    now = shared("GET", heir).body
    assert (now["role_id"], now["updated_at"]) == (shared.role("manager"), before)


def test_second_attempt_has_a_later_time(
    world: World, before_commit: BeforeCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.new_project()
    told: list[datetime] = []

    def now(zone: Any) -> datetime:
        told.append(datetime.now(zone) + timedelta(hours=len(told) + 1))
        return told[-1]

    before_commit(lambda other: other("PATCH", project, {"description": "B"}))
    monkeypatch.setattr(work, "datetime", SimpleNamespace(now=now))
    answer = world("PATCH", project, {"name": "B"})
    assert answer.version == 3
    assert answer.body["updated_at"] == timestamp(told[-1].astimezone(UTC)) == event(world, project)["time"]
    assert len(told) > 2
