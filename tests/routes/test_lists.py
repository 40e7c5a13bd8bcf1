"""Lists: by age, page by page, each stable item exactly once."""

import json
import re
from urllib.parse import urlsplit

import pytest

from atrium.settings import MAX_RETURNED_BYTES
from atrium.store import whole
from tests.support.client import RECORDS, World, every_page, flat_id, flat_path, v1_id
from tests.support.copies import copies
from tests.support.requests import FLAT
from tests.support.world import full


def test_v1_pages_have_every_project_once_in_order_of_age(world: World) -> None:
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


def test_filtered_page_may_be_short_and_has_has_more(world: World) -> None:
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


def test_cursor_of_another_list_parent_or_filter_is_refused(world: World) -> None:
    """Sends the cursor of each list to every list, in both dialects; inside `make test` to every fifth, from list to
    list another.
    """
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
    step = full(5, 1)
    for turn, path in enumerate(lists):
        joined = f"{path}{'&' if '?' in path else '?'}"
        for place, (other, cursor) in enumerate(cursors.items()):
            if other != path and (place + turn) % step:
                continue
            answer = world("GET", f"{joined}cursor={cursor}")
            if other == path:
                assert answer.status == 200
                assert world("GET", f"{joined}limit=1&cursor={cursor}").status == 200, "the limit is free"
                continue
            status = 422 if path.startswith("/v1") else 400
            assert answer.seen == (status, REFUSED[status]), (path, other)


def test_cursor_of_another_tenant_shows_no_foreign_project(world: World) -> None:
    for number in range(3):
        world.new_project(f"Secret {number}")
    foreign = world(
        "GET", f"{world.projects(tenant='globex')}?cursor={first_cursor(world, world.projects())}", tenant="globex"
    )
    assert foreign.seen == (422, REFUSED[422])
    # All callers share the path of this list. Its cursor is a position.
    assert world("GET", f"/projects?cursor={first_cursor(world, '/projects')}", tenant="globex").seen == (200, [])


def test_every_change_of_one_byte_of_a_cursor_is_refused(shared: World) -> None:
    """Replaces, removes, doubles and swaps each byte; all variants under `make prove`."""
    for _ in range(2):
        shared.new_project()
    for path, status, step in ((shared.projects(), 422, full(41, 1)), ("/projects", 400, full(97, 1))):
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


def test_flat_list_is_an_array_with_a_link_to_the_rest(world: World) -> None:
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


def test_list_of_projects_ends_early_after_large_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page ends behind the batch with the large read, with a link to the rest. It has at least one batch."""
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


def test_list_with_text_of_escapes_ends_at_the_maximum_answer(world: World) -> None:
    """The text is pasted JSON: Lambda counts four bytes for each quote."""
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
