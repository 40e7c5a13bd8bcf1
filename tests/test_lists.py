"""Lists: by age, page by page, each stable item exactly once."""

import re
from urllib.parse import urlsplit

import pytest

from atrium.store import projects
from tests.client import World, flat_id, v1_id
from tests.conftest import full
from tests.test_concurrency import every_page
from tests.test_round_trips import FLAT


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


def test_a_cursor_shows_nothing_of_another_space_or_tenant(world: World) -> None:
    for number in range(3):
        world.new_project(f"Secret {number}")
    cursor = world("GET", f"{world.projects()}?limit=1").body["meta"]["next_cursor"]
    elsewhere = world("GET", f"{world.projects('research')}?cursor={cursor}")
    assert elsewhere.body == {"data": [], "meta": {"has_more": False, "next_cursor": None}}
    foreign = world("GET", f"{world.projects(tenant='globex')}?cursor={cursor}", tenant="globex")
    assert foreign.body["data"] == []
    assert world("GET", f"/projects?cursor={cursor}", tenant="globex").body == []


def test_every_change_of_one_character_of_a_cursor_is_refused(world: World) -> None:
    for number in range(2):
        world.new_project(f"P{number}")
    cursor = world("GET", f"{world.projects()}?limit=1").body["meta"]["next_cursor"]
    for position in range(len(cursor)):
        for replacement in "AZaz09-_":
            if replacement != cursor[position]:
                forged = cursor[:position] + replacement + cursor[position + 1 :]
                assert world("GET", f"{world.projects()}?cursor={forged}").status == 422, forged


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


def test_the_flat_list_stops_at_its_size_and_links_to_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 5 MB, of which `make test` tries a tenth: a Lambda answer may have 6 MB."""
    most = full(500_000, projects.MAX_LIST_BYTES)
    monkeypatch.setattr(projects, "MAX_LIST_BYTES", most)
    ids = []
    for number in range(most // 30_000 + 15):
        body = {"name": f"P{number}", "description": {"summary": "x" * 30_000}}
        ids.append(flat_id(world("POST", world.projects(), body).body["id"]))
    first = world("GET", "/projects")
    assert 0.9 * most < len(first.content) < 1.1 * most
    url = urlsplit(first.headers["link"].partition(">")[0][1:])
    second = world("GET", f"{url.path}?{url.query}")
    assert [project["_id"] for project in (*first.body, *second.body)] == ids
    assert "link" not in second.headers
