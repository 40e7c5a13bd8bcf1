"""Principals are listed by id, filtered, and found by the beginning of an address or of a word of a name."""

from typing import Any

import pytest

from atrium import keys
from atrium.api.paging import cursor_behind
from atrium.ids import new_id
from atrium.models import ACTIVE, Principal
from atrium.permissions import TenantRole
from atrium.store.directory import found_by
from atrium.store.rows import principal_row
from tests.support.client import World, every_page, flat_id
from tests.support.principals import path, tenant
from tests.support.rows import Rows
from tests.support.world import full

NOW = "2026-01-01T00:00:00.000Z"
OURS = ("owner", "contributor", "viewer", "outsider")


def new(world: World, name: str, email: str | None = None, **fields: Any) -> str:
    """The name of a new person, or of a service without an address."""
    body = {"name": name, **({"email": email} if email else {"kind": "service"}), **fields}
    answer = world("POST", "/v1/principals", body)
    assert answer.status == 201, answer
    return name


def names(world: World, query: str = "", limit: int = 100) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    cursor = ""
    while True:
        page = world("GET", f"/v1/principals?limit={limit}{query}{cursor}")
        assert page.status == 200, page
        assert len(page.body["data"]) <= limit
        found += [principal["name"] for principal in page.body["data"]]
        if not page.body["meta"]["has_more"]:
            assert page.body["meta"]["next_cursor"] is None
            return found
        cursor = f"&cursor={page.body['meta']['next_cursor']}"


def test_principals_are_listed_by_id_as_they_are_shown(world: World) -> None:
    new(world, "Ada", "ada@acme.example")
    listed = list(every_page(world, "/v1/principals", 2))
    assert [each["id"] for each in listed] == sorted(each["id"] for each in listed)
    assert len(listed) == len(OURS) + 1
    for each in listed:
        assert world("GET", f"/v1/principals/{each['id']}").body == each
    assert world("GET", "/v1/principals?limit=100").body == {
        "data": listed,
        "meta": {"has_more": False, "next_cursor": None},
    }


def test_filters_take_kind_status_and_external_id(world: World) -> None:
    everyone = set(names(world))
    new(world, "Bot", external_id="b/1")
    new(world, "Ada", "ada@acme.example", external_id="a")
    assert world("PATCH", path(world, "viewer"), {"status": "suspended"}).status == 200
    viewer = world("GET", path(world, "viewer")).body["name"]
    for limit in (1, 100):
        assert names(world, "&kind=service", limit) == ["Bot"]
        assert set(names(world, "&kind=user", limit)) == everyone | {"Ada"}
        assert names(world, "&status=suspended", limit) == [viewer]
        assert set(names(world, "&status=active", limit)) == (everyone | {"Ada", "Bot"}) - {viewer}
        assert names(world, "&status=suspended&kind=service", limit) == []
    assert names(world, "&external_id=b/1") == ["Bot"]
    assert names(world, "&external_id=b/1&kind=user") == []
    assert names(world, "&external_id=a&q=ad") == ["Ada"]
    assert names(world, "&external_id=a&q=bo") == []
    assert names(world, "&external_id=A") == []
    assert names(world, "&q=bo&kind=service") == ["Bot"]
    assert names(world, "&q=bo&kind=user") == []


def test_each_is_found_once_by_its_address_or_by_a_word_of_its_name(world: World) -> None:
    new(world, "Anna Annabel Ann", "anna@acme.example")
    new(world, "Bea Ann Anders", "bea@acme.example")
    new(world, "Ån Robot")
    new(world, "Carl", "annex@acme.example")
    for limit in (1, 2, 3, 100):
        assert names(world, "&q=AN", limit) == ["Anna Annabel Ann", "Carl", "Ån Robot", "Bea Ann Anders"], limit
    assert names(world, "&q=ann+anders") == ["Bea Ann Anders"]
    assert names(world, "&q=nna") == []
    assert names(world, "&q=ann%23") == [], "the rest of a key is no part of a name"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("kind=robot", ("kind", "Input should be 'user' or 'service'", "literal_error")),
        ("status=deleted", ("status", "Input should be 'active' or 'suspended'", "literal_error")),
        ("q=a", ("q", "Must have 2 to 100 characters", "search")),
        ("external_id=a%20b", ("external_id", "Must not hold blanks or invisible characters", "string_invisible")),
        ("cursor=x", ("cursor", "Must be the next_cursor of a page of this list, unchanged", "cursor")),
        (
            "role=admin",
            ("role", "Unknown parameter. Known: cursor, external_id, kind, limit, q, status", "extra_forbidden"),
        ),
    ],
)
def test_unfit_query_is_refused(world: World, query: str, detail: tuple[str, str, str]) -> None:
    name, message, type = detail
    answer = world("GET", f"/v1/principals?{query}")
    assert answer.seen == (422, {"detail": [{"loc": ["query", name], "msg": message, "type": type}]})


def test_cursor_is_good_for_its_own_list_alone(world: World) -> None:
    for query, other in (("", "&q=ac"), ("&q=ac", ""), ("&q=ac", "&q=acm")):
        cursor = world("GET", f"/v1/principals?limit=1{query}").body["meta"]["next_cursor"]
        assert cursor is not None
        assert world("GET", f"/v1/principals?limit=1{other}&cursor={cursor}").status == 422


@pytest.mark.parametrize(
    "position",
    [
        "00" + "a" * 2,
        "01" + b"\xff".hex(),
        "00" + b"zz".hex(),
        "00" + ("ac" + "c" * 1_100).encode().hex(),
        "01" + ("ac" + "\U0010ffff" * 250).encode().hex(),
        "0" * 24,
        "f" * 24,
    ],
)
def test_forged_cursor_shows_nothing_that_an_honest_one_does_not(world: World, position: str) -> None:
    honest = set(names(world, "&q=ac"))
    for query in ("", "q=ac"):
        cursor = cursor_behind(position, f"/v1/principals?{query}")
        answer = world("GET", f"/v1/principals?{query}&cursor={cursor}")
        assert answer.status == 200
        assert not query or {each["name"] for each in answer.body["data"]} <= honest


# ---------------------------------------------------------------- projects


def test_projects_of_a_principal_tell_its_role_and_who_manages_them(world: World) -> None:
    first, second = world.new_project("First"), world.new_project("Second", space="research")
    left, gone = world.new_project("Left"), world.new_project("Gone")
    for project, role in ((first, "viewer"), (second, "contributor"), (left, "viewer"), (gone, "viewer")):
        world.new_member(project, "outsider", role)
    assert world("PATCH", second, {"manager_id": world.uuid("outsider")}).status == 200
    assert world("DELETE", f"{left}/members/{world.uuid('outsider')}").status == 204
    assert world("DELETE", gone).status == 204
    own = f"{path(world, 'outsider')}/projects"
    shown = [
        {
            "project_id": project.rpartition("/")[2],
            "space_id": project.split("/")[3],
            "name": name,
            "role_id": world.role(role),
            "is_manager": role == "manager",
        }
        for project, name, role in ((first, "First", "viewer"), (second, "Second", "manager"))
    ]
    for by in ("owner", "outsider"):
        whole = world("GET", own, by=by)
        assert whole.seen == (200, {"data": shown, "meta": {"has_more": False, "next_cursor": None}})
        assert list(whole.body["data"][0]) == list(shown[0])
        page = world("GET", f"{own}?limit=1", by=by).body
        assert (page["data"], page["meta"]["has_more"]) == (shown[:1], True)
        rest = world("GET", f"{own}?limit=1&cursor={page['meta']['next_cursor']}", by=by).body
        assert rest["data"] == shown[1:]
    assert world("GET", f"{path(world, 'viewer')}/projects").body["data"] == []
    assert world("PATCH", first, {"status": "archived", "name": "Old"}).status == 200
    assert world("GET", own).body["data"][0]["name"] == "Old"


def test_narrowed_credential_is_shown_the_projects_that_it_reaches(world: World, narrow: Any) -> None:
    first, second = world.new_project("First"), world.new_project("Second", space="research")
    for project in (first, second):
        world.new_member(project, "outsider", "viewer")
    own = f"{path(world, 'outsider')}/projects"

    def shown(by: str = "outsider") -> list[str]:
        return [each["name"] for each in world("GET", own, by=by).body["data"]]

    narrow("outsider", spaces=[flat_id(second.split("/")[3])])
    assert shown() == ["Second"]
    narrow("outsider", projects=[flat_id(first.rpartition("/")[2])])
    assert shown() == ["First"]
    narrow("outsider", permissions=["record:write"])
    assert shown() == []
    narrow("owner", permissions=["principal:manage"])
    assert shown("owner") == ["First", "Second"], "an admin need not read them"


# ---------------------------------------------------------------- many


def test_many_namesakes_are_each_found_once(world: World, rows: Rows) -> None:
    made = []
    for number in range(full(300, 10_000)):
        id = new_id()
        words = f"Max Maximilian M{number:05}"
        made.append(words)
        person = Principal(
            id=id,
            tenant=tenant(world),
            kind="user",
            name=words,
            email=f"max.{number}@acme.example" if number % 3 else f"x{number}@acme.example",
            external_id=None,
            tenant_role=TenantRole.MEMBER,
            status=ACTIVE,
            spaces={},
            created_at=NOW,
            updated_at=NOW,
            version=1,
        )
        own = {keys.principal(person.tenant, id): principal_row(person)}
        rows.put_all(found_by(person) | own)
    for query, limit in (("", 100), ("&q=max", 100), ("&q=max", full(7, 99))):
        found = [name for name in names(world, query, limit) if name.startswith("Max")]
        assert sorted(found) == sorted(made)
