"""Lists during inserts and deletes: each stable item is on exactly one page."""

import os
import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from local.gateway import Gateway
from local.template import Template
from tests.support.client import World, flat_id, flat_path, through, v1_id
from tests.support.clock import Workers
from tests.support.copies import copies
from tests.support.world import Count, full


@dataclass
class List:
    """A paged list, and the v1 path under which its items are made and deleted."""

    path: str
    items: str
    body: dict[str, str]

    def page(self, world: World, limit: int, cursor: str) -> tuple[list[str], str]:
        """The ids of a page in the flat spelling, and the cursor of the next one, or nothing."""
        answer = world("GET", f"{self.path}?limit={limit}{cursor and f'&cursor={cursor}'}")
        assert answer.status == 200, answer
        if not self.path.startswith("/v1"):
            found = re.search(r"cursor=([\w-]+)", answer.headers.get("link", ""))
            return [item["_id"] for item in answer.body], found[1] if found else ""
        meta = answer.body["meta"]
        assert meta["has_more"] == (meta["next_cursor"] is not None)
        return [flat_id(item["id"]) for item in answer.body["data"]], meta["next_cursor"] or ""

    def insert(self, world: World) -> str:
        made = world("POST", self.items, self.body)
        assert made.status == 201, made
        return flat_id(made.body["id"])

    def delete(self, world: World, id: str) -> None:
        assert world("DELETE", f"{self.items}/{v1_id(id)}").status == 204


def the_list(world: World, kind: str) -> List:
    if kind.endswith("projects"):
        return List(world.projects() if kind == "v1 projects" else "/projects", world.projects(), {"name": "P"})
    project = world.new_project(space="research")
    path = f"{project}/tasks" if kind == "v1 tasks" else f"{flat_path(project)}/tasks"
    return List(path, f"{project}/tasks", {"name": "T", "description": "x", "phase": "business"})


def everything(world: World, items: List) -> list[str]:
    """The whole list, read without concurrent writes."""
    ids, cursor = items.page(world, 100, "")
    while cursor:
        more, cursor = items.page(world, 100, cursor)
        ids += more
    return ids


def walk(world: World, items: List, dice: random.Random, between: Callable[[str], None]) -> list[str]:
    """The list's items, in pages of 1 to 100; `between` is called behind each one with its last id."""
    seen: list[str] = []
    cursor = ""
    while True:
        limit = dice.choice([1, 2, dice.randint(1, 100), 100])
        ids, cursor = items.page(world, limit, cursor)
        assert len(ids) <= limit
        assert ids[:1] > seen[-1:] or not ids, "a page begins behind the one before it"
        seen += ids
        if not cursor:
            return seen
        between(ids[-1] if ids else "")


def require_stable(seen: Sequence[str], before: Sequence[str], inserted: set[str], deleted: set[str]) -> None:
    """Asserts that each stable item was seen once and in order, and only existing items."""
    assert list(seen) == sorted(set(seen)), "in order, none twice"
    assert [id for id in seen if id not in inserted | deleted] == [id for id in before if id not in deleted]
    assert set(seen) <= set(before) | inserted


LISTS = ("v1 tasks", "flat tasks", "v1 projects", "flat projects")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", LISTS)
def test_stable_item_is_listed_once_during_inserts_and_deletes_between_pages(
    world: World, kind: str, count: Count
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    items = the_list(world, kind)
    # The flat list of projects asks for each of them.
    copies(items.insert(world), full(250 if kind == "flat projects" else 400, 10_000))
    gone = set(dice.sample(everything(world, items), 20))
    for id in gone:
        items.delete(world, id)
    for _ in range(full(1, 3)):
        before = everything(world, items)
        assert not gone & set(before)
        inserted: set[str] = set()

        def churn(last: str, before: list[str] = before, inserted: set[str] = inserted) -> None:
            """Deletes the item of the cursor or another one, and two random ones; adds one."""
            there = [id for id in before if id not in gone]
            for id in {last if last in there else there[0], *dice.sample(there, 2)}:
                items.delete(world, id)
                gone.add(id)
            inserted.add(items.insert(world))

        require_stable(walk(world, items, dice, churn), before, inserted, gone)
        count(items=len(before), inserted=len(inserted), deleted=len(gone))
    assert set(everything(world, items)) >= inserted - gone


@pytest.fixture
def others(world: World, template: Template) -> Iterator[World]:
    """The same API, served by other processes."""
    workers = Workers(os.environ, size=3)
    yield World(through(Gateway(template.api, template.functions, workers, template.stage)), world.dev)
    workers.stop()


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", LISTS)
def test_stable_item_is_listed_once_during_concurrent_writes(world: World, others: World, kind: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    items = the_list(world, kind)
    copies(items.insert(world), full(150, 2_000))
    before = everything(world, items)
    shuffled = random.Random(seed).sample(before, len(before) // 2)
    inserted: set[str] = set()
    deleted: set[str] = set()
    over = threading.Event()

    def insert() -> None:
        while not over.is_set():
            inserted.add(items.insert(others))

    def delete() -> None:
        while shuffled and not over.is_set():
            id = shuffled.pop()
            deleted.add(id)
            items.delete(others, id)

    with ThreadPoolExecutor(3) as threads:
        writing = [threads.submit(write) for write in (insert, delete, delete)]
        try:
            seen = [walk(world, items, random.Random(seed), lambda _: None) for _ in range(2)]
        finally:
            over.set()
        for one in writing:
            one.result()
    require_stable(seen[0], before, inserted, deleted)
    require_stable(seen[1], before, inserted, deleted)
    assert inserted
    assert deleted
    assert everything(world, items) == sorted({*before, *inserted} - deleted)
