"""The poller of docs/events.md, as it is printed there: it loses no event and handles none twice."""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from local.template import ROOT
from tests.support.client import World, v1_id
from tests.support.feed import Now, ledger
from tests.support.live import served

PAGE = (ROOT / "docs/events.md").read_text()


class Stopped(Exception):
    """The program ends in the midst of a page."""


class Reader:
    """A program that keeps the types of the events that it has handled."""

    def __init__(self, url: str, token: str) -> None:
        (printed,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        names: dict[str, Any] = {}
        exec(printed, names)
        self._poll = names["poll"]
        self._where = (url, token)
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE mine (event TEXT)")
        self.survives = 10_000

    def poll(self) -> None:
        self._poll(*self._where, self.database, self._handle)

    def _handle(self, database: sqlite3.Connection, event: Any) -> None:
        if self.survives == 0:
            raise Stopped
        self.survives -= 1
        database.execute("INSERT INTO mine VALUES (?)", (event["id"],))

    @property
    def handled(self) -> list[str]:
        return [id for (id,) in self.database.execute("SELECT event FROM mine ORDER BY rowid")]


@pytest.fixture
def reader(world: World, now: Now) -> Iterator[Reader]:
    with served(world) as url:
        yield Reader(url, world.principal("owner")["token"])


def test_poller_handles_each_event_once_whenever_it_is_stopped(world: World, now: Now, reader: Reader) -> None:
    project, stops = world.new_project(), 0
    for round in range(4):
        for _ in range(30):
            now.passes(milliseconds=7)
            world.new_record(project, "tasks")
        reader.survives = 25 + round
        before = reader.handled
        try:
            reader.poll()
        except Stopped:
            stops += 1
            assert reader.handled == before
        now.passes(seconds=20)
    now.passes(seconds=31)
    reader.survives = 10_000
    reader.poll()
    assert reader.handled == [v1_id(id) for id in ledger(world)]
    assert (stops > 0, len(reader.handled) > 120) == (True, True)


def test_poller_handles_an_event_once_though_it_is_listed_again(world: World, now: Now, reader: Reader) -> None:
    world.new_project()
    now.passes(minutes=1)
    reader.poll()
    reader.database.execute("DELETE FROM place")
    world.new_project()
    now.passes(minutes=1)
    reader.poll()
    assert reader.handled == [v1_id(id) for id in ledger(world)]


def test_poller_that_was_away_for_too_long_is_told_so(world: World, now: Now, reader: Reader) -> None:
    now.passes(minutes=1)
    reader.poll()
    now.passes(days=91)
    with pytest.raises(HTTPError) as refusal:
        reader.poll()
    assert (refusal.value.code, refusal.value.headers["X-Error-Code"]) == (410, "events_expired")
