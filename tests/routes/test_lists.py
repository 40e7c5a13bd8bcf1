"""Lists: by age, page by page, each stable item exactly once."""

import json
import os
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from atrium.ids import new_id
from atrium.settings import MAX_RETURNED_BYTES
from atrium.store import records, whole
from local.functions import call
from local.gateway import Gateway
from local.template import Function, Template
from tests.support.client import RECORDS, Answer, World, every_page, flat_id, flat_path, through, v1_id
from tests.support.clock import Workers
from tests.support.requests import FLAT
from tests.support.world import Count, full


def test_v1_pages_hold_every_project_once_in_order_of_age(world: World) -> None:
    made = [world.new_project(f"P{number}").rpartition("/")[2] for number in range(7)]
    for limit in (1, 2, 3, 6, 7, 100):
        assert [item["id"] for item in every_page(world, world.projects(), limit)] == made
    page = world("GET", f"{world.projects()}?limit=7").body
    assert page["meta"] == {"has_more": False, "next_cursor": None}
    page = world("GET", f"{world.projects()}?limit=6").body
    assert page["meta"]["has_more"] is True


def test_inserts_and_deletes_between_pages_do_not_move_the_others(world: World) -> None:
    made = [world.new_project(f"P{number}") for number in range(6)]
    first = world("GET", f"{world.projects()}?limit=2").body
    assert world("DELETE", made[1]).status == 204, "the item that the cursor stands on"
    assert world("DELETE", made[2]).status == 204
    added = world.new_project("P6")
    rest, cursor = [], first["meta"]["next_cursor"]
    while cursor:
        page = world("GET", f"{world.projects()}?limit=2&cursor={cursor}").body
        rest += [item["id"] for item in page["data"]]
        cursor = page["meta"]["next_cursor"]
    assert rest == [path.rpartition("/")[2] for path in (*made[3:], added)]


def test_a_filtered_page_may_be_short_and_says_whether_there_is_more(world: World) -> None:
    made = [world.new_project(f"P{number}") for number in range(5)]
    for path in made[:4]:
        world("PATCH", path, {"status": "archived"})
    page = world("GET", f"{world.projects()}?status=active&limit=2").body
    assert (page["data"], page["meta"]["has_more"]) == ([], True)
    found = [item["id"] for item in every_page(world, f"{world.projects()}", 2) if item["status"] == "active"]
    assert found == [made[4].rpartition("/")[2]]


REFUSED = {
    422: {
        "detail": [
            {
                "loc": ["query", "cursor"],
                "msg": "Must be the next_cursor of a page of this list, unchanged",
                "type": "cursor",
            }
        ]
    },
    400: {"error": "cursor: Must be the cursor of a Link header of this list, unchanged"},
}


def first_cursor(world: World, path: str) -> str:
    """The cursor of the page behind a list's first item."""
    page = world("GET", f"{path}{'&' if '?' in path else '?'}limit=1")
    assert page.status == 200, page
    found = page.body["meta"]["next_cursor"] if path.startswith("/v1") else page.headers["link"]
    return str(re.findall(r"(?:cursor=)?([\w-]{22})\b", found)[-1])


def test_a_list_takes_no_cursor_of_another_list_parent_or_filter(world: World) -> None:
    """In either dialect: each one's cursor is sent to each."""
    lists = [world.projects(), world.projects("research"), f"{world.projects()}?status=active", "/projects"]
    for project in (world.new_project(), world.new_project(), world.new_project(space="research")):
        world.new_member(project, "viewer", "viewer")
        world.new_member(project, "contributor", "viewer")
        for kind in RECORDS:
            record, _ = (world.new_record(project, kind) for _ in range(2))
            lists += [f"{project}/{kind}", f"{flat_path(project)}/{kind}"]
            if kind == "tasks":
                world.new_note(record)
                lists.append(world.new_note(record).rpartition("/")[0])
        lists += [f"{project}/tasks?phase=data_preparation", f"{flat_path(project)}/datasets?phase=data_understanding"]
        lists.append(f"{project}/members")
    world.new_project(space="research")
    cursors = {path: first_cursor(world, path) for path in lists}
    for path in lists:
        joined = f"{path}{'&' if '?' in path else '?'}"
        for other, cursor in cursors.items():
            answer = world("GET", f"{joined}cursor={cursor}")
            if other == path:
                assert answer.status == 200
                assert world("GET", f"{joined}limit=1&cursor={cursor}").status == 200, "the limit is free"
                continue
            status = 422 if path.startswith("/v1") else 400
            assert answer.seen == (status, REFUSED[status]), (path, other)


def test_a_cursor_of_a_link_is_one_of_the_list_that_it_leads_to(world: World, cut: str) -> None:
    for path in (cut, f"{cut}/report", f"{cut}/tasks?limit=1", f"{cut}/datasets?limit=1&phase=data_understanding"):
        targets = re.findall("<http://api.test(.*?)>", world("GET", path).headers["link"])
        for target in targets:
            assert world("GET", target).status == 200, target


def test_a_cursor_shows_nothing_of_another_tenant(world: World) -> None:
    for number in range(3):
        world.new_project(f"Secret {number}")
    foreign = world(
        "GET", f"{world.projects(tenant='globex')}?cursor={first_cursor(world, world.projects())}", tenant="globex"
    )
    assert foreign.seen == (422, REFUSED[422])
    # The path of this list is the same for everybody. Its cursor is a position.
    assert world("GET", f"/projects?cursor={first_cursor(world, '/projects')}", tenant="globex").seen == (200, [])


def test_every_change_of_one_byte_of_a_cursor_is_refused(shared: World) -> None:
    """Each byte to each other byte, left out, doubled, or changed with its neighbour; all of them in `make prove`."""
    for _ in range(2):
        shared.new_project()
    for path, status, step in ((shared.projects(), 422, full(17, 1)), ("/projects", 400, full(49, 1))):
        cursor = first_cursor(shared, path)
        damaged = set()
        for place, character in enumerate(cursor):
            before, behind = cursor[:place], cursor[place + 1 :]
            damaged |= {before + f"%{byte:02X}" + behind for byte in range(256) if byte != ord(character)}
            damaged |= {before + behind, before + character + cursor[place:]}
            damaged |= {before + behind[0] + character + behind[1:]} if behind else set()
        assert len(damaged - {cursor}) > 255 * len(cursor)
        for forged in sorted(damaged - {cursor})[::step]:
            assert shared("GET", f"{path}?cursor={forged}").status == status, forged


def test_members_are_paged(world: World) -> None:
    path = world.new_project()
    for name in ("contributor", "viewer", "outsider"):
        world.new_member(path, name, "viewer")
    listed = [item["principal_id"] for item in every_page(world, f"{path}/members", 1)]
    assert listed == sorted(world.uuid(name) for name in ("owner", "contributor", "viewer", "outsider"))


def test_the_flat_list_is_a_bare_array_with_a_link_to_what_is_left(world: World) -> None:
    made = [
        world("POST", "/projects", FLAT).body["_id"]
        if number % 2
        else flat_id(world.new_project(space="research").rpartition("/")[2])
        for number in range(5)
    ]
    whole = world("GET", "/projects")
    assert [project["_id"] for project in whole.body] == made
    assert "link" not in whole.headers
    found, target = [], "/projects?limit=2"
    while target:
        page = world("GET", target)
        assert len(page.body) <= 2
        found += [project["_id"] for project in page.body]
        link = page.headers.get("link")
        target = ""
        if link:
            url, relation = link.split("; ")
            assert relation == 'rel="next"'
            parts = urlsplit(url.strip("<>"))
            assert (parts.scheme, parts.netloc, parts.path) == ("http", "api.test", "/projects")
            assert "limit=2" in parts.query
            target = f"{parts.path}?{parts.query}"
    assert found == made
    assert v1_id(made[0])


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [
        ("https", "https"),
        ("http", "http"),
        ("javascript", "http"),
        ('x>; rel="next", <http', "http"),
        ("", "http"),
    ],
)
def test_a_links_scheme_is_not_whatever_a_header_says(shared: World, sent: str, scheme: str) -> None:
    """In these tests the gateway speaks http."""
    for _ in range(2):
        shared.new_project()
    listed = shared("GET", "/projects?limit=1", headers={"X-Forwarded-Proto": sent})
    assert re.fullmatch(rf'<{scheme}://api\.test/projects\?limit=1&cursor=[\w-]+>; rel="next"', listed.headers["link"])


@pytest.fixture
def cut(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The flat path of a project with two records of each kind, of which it and its report show one."""
    monkeypatch.setattr(whole, "MAX_SHOWN_TASKS", 1)
    monkeypatch.setattr(records, "_MAX_REPORTED", 1)
    project = world.new_project()
    for kind in RECORDS:
        for _ in range(2):
            world.new_record(project, kind)
    return flat_path(project)


def urls(answer: Answer) -> list[str]:
    """The targets of an answer's Link header, without their cursors, which are there but for a list's beginning."""
    assert answer.status == 200, answer
    return [re.sub(r"(?<=[?&]cursor=)[\w-]{22}$", "…", url) for url in re.findall("<(.*?)>", answer.headers["link"])]


@pytest.mark.parametrize("before", ["", "/prod", "/a/b"])
def test_links_are_made_of_the_resource_and_not_of_how_it_was_asked_for(
    world: World, template: Template, cut: str, before: str
) -> None:
    """As API Gateway tells it: the path with the stage, or a domain's base path, before it, and with the slash that a
    client put behind it. A query belongs to the list that it was sent to, as far as that knows it."""

    def behind(function: Function, event: Mapping[str, Any]) -> Any:
        context = event["requestContext"]
        return call(function, {**event, "requestContext": {**context, "path": before + context["path"]}})

    asked = World(through(Gateway(template.api, template.functions, behind, template.stage)), world.dev)
    here = f"http://api.test{before}{cut}"
    for slash in ("", "/"):
        assert urls(asked("GET", f"{cut}{slash}?limit=1&cursor=zzz&phase=x")) == [f"{here}/tasks?cursor=…"]
        rest = [f"{here}/tasks?cursor=…", f"{here}/datasets?cursor=…", f"{here}/decisions", f"{here}/experiments"]
        assert urls(asked("GET", f"{cut}/report{slash}?phase=modeling&limit=1&cursor=zzz")) == rest
        page = asked("GET", f"{cut}/datasets{slash}?_=1&limit=1&phase=data_understanding&page=7")
        assert urls(page) == [f"{here}/datasets?limit=1&phase=data_understanding&cursor=…"]
        note = asked("GET", f"{cut}/tasks{slash}?limit=1")
        assert urls(note) == [f"{here}/tasks?limit=1&cursor=…"]
    shown = asked("GET", cut).body
    assert urls(asked("PUT", f"{cut}/?limit=1", shown | {"clientName": "Acme"})) == [f"{here}/tasks?cursor=…"]


def test_a_list_of_projects_ends_early_when_much_had_to_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the batch in which it was so much, with a link to the rest; not before a first one."""
    made = [world.new_project() for _ in range(20)]
    for project in made:
        world.new_record(project, "tasks")
    ids = [flat_id(path.rpartition("/")[2]) for path in made]
    monkeypatch.setattr(whole, "MAX_LIST_UNITS", 0)
    pages, target = [], "/projects"
    while target:
        page = world("GET", target)
        assert page.status == 200
        pages.append([project["_id"] for project in page.body])
        target = page.headers["link"].partition(">")[0].partition("api.test")[2] if "link" in page.headers else ""
    assert pages == [ids[:7], ids[7:14], ids[14:]]


def test_a_list_of_projects_whose_text_escapes_ends_where_the_answer_is_full(world: World) -> None:
    """Pasted JSON: of each of its quotes Lambda counts four bytes."""
    text = '{"a":"b"}' * 1_100
    id = world("POST", "/projects", FLAT | {"description": text}).body["_id"]
    copies(id, 419)
    first = world("GET", "/projects")
    assert first.status == 200
    assert 0.98 * MAX_RETURNED_BYTES < len(json.dumps(first.content.decode(), ensure_ascii=False)) < MAX_RETURNED_BYTES
    assert {project["description"] for project in first.body} == {text}
    (link,) = re.findall(r'<http://api.test(/projects\?cursor=[\w-]{22})>; rel="next"$', first.headers["link"])
    rest = world("GET", link)
    assert (rest.status, "link" in rest.headers) == (200, False)
    ids = [project["_id"] for project in (*first.body, *rest.body)]
    assert len(ids) == 420
    assert ids == sorted(set(ids))


def test_an_entry_that_does_not_show_all_tasks_says_where_they_go_on(
    world: World, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a link whose anchor is the project (RFC 8288, 3.2); a page has ten of them at most."""
    id = cut.rpartition("/")[2]
    listed = world("GET", "/projects")
    (form,) = [listed.headers["link"]]
    (cursor,) = re.findall(r"cursor=([\w-]{22})", form)
    url = f"http://api.test{cut}"
    assert form == f'<{url}/tasks?cursor={cursor}>; rel="next"; title="tasks"; anchor="{url}"'
    assert (len(listed.body), listed.body[0]["_id"]) == (1, id)
    assert len(world("GET", f"{cut}/tasks?cursor={cursor}").body) == 1
    copies(id, 11)
    monkeypatch.setattr(whole, "_WIDE", 64)
    first = world("GET", "/projects")
    own, *others = first.headers["link"].split(", ")
    assert re.fullmatch(r'<http://api\.test/projects\?cursor=[\w-]{22}>; rel="next"', own)
    assert len(first.body) == len(others) == 10
    assert [each.rpartition("/")[2].strip('"') for each in others] == [project["_id"] for project in first.body]
    rest = world("GET", own.partition(">")[0].partition("api.test")[2])
    assert (len(rest.body), rest.headers["link"].count("anchor=")) == (2, 2)


# ---------------------------------------------------------------- while others write


def copies(id: str, count: int) -> None:
    """More of what has the id, made past the API: every row whose key names it, under new ids."""
    client = boto3.client("dynamodb")
    table = os.environ["TABLE_NAME"]
    pages = client.get_paginator("scan").paginate(TableName=table)
    rows = [row for page in pages for row in page["Items"] if id in row["pk"]["S"] + row["sk"]["S"]]
    texts = [json.dumps(row) for row in rows]
    puts = [
        {"PutRequest": {"Item": json.loads(text.replace(id, new).replace(v1_id(id), v1_id(new)))}}
        for new in (new_id() for _ in range(count))
        for text in texts
    ]
    for position in range(0, len(puts), 25):
        made = client.batch_write_item(RequestItems={table: puts[position : position + 25]})
        assert not made["UnprocessedItems"]


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
    """What is in the list when nobody writes."""
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
    """That each stable item was seen exactly once and in order, and nothing that was not there."""
    assert list(seen) == sorted(set(seen)), "in order, none twice"
    assert [id for id in seen if id not in inserted | deleted] == [id for id in before if id not in deleted]
    assert set(seen) <= set(before) | inserted


LISTS = ("v1 tasks", "flat tasks", "v1 projects", "flat projects")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", LISTS)
def test_each_stable_item_is_seen_once_while_others_come_and_go(world: World, kind: str, count: Count) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    items = the_list(world, kind)
    # The flat list of projects asks for each of them.
    copies(items.insert(world), full(250 if kind == "flat projects" else 1_000, 10_000))
    gone = set(dice.sample(everything(world, items), 20))
    for id in gone:
        items.delete(world, id)
    for _ in range(full(1, 3)):
        before = everything(world, items)
        assert not gone & set(before)
        inserted: set[str] = set()

        def churn(last: str, before: list[str] = before, inserted: set[str] = inserted) -> None:
            """Deletes what the cursor stands on, or anything, before it or behind; and adds something."""
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
    """The same API in other processes."""
    workers = Workers(os.environ, size=3)
    yield World(through(Gateway(template.api, template.functions, workers, template.stage)), world.dev)
    workers.stop()


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", LISTS)
def test_each_stable_item_is_seen_once_while_others_write_at_the_same_time(
    world: World, others: World, kind: str
) -> None:
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
