"""The flat dialect's team: its members, their changes, and the search for people."""

from urllib.parse import quote

import pytest

from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.client import World, flat_id, flat_path


def person(world: World, name: str, tenant: str = "acme") -> dict[str, str]:
    return {
        "_id": world.id(name, tenant),
        "name": f"{name.title()} of {tenant.title()}",
        "email": f"{name}@{tenant}.example",
    }


def test_people_are_found_by_email_added_listed_and_removed(shared: World) -> None:
    project = shared.new_project()
    team = f"{flat_path(project)}/team"
    assert shared("GET", team).seen == (200, [])
    found = shared("POST", f"{team}/find", {"email": "Outsider@ACME.example"})
    assert found.seen == (200, person(shared, "outsider"))
    added = shared("POST", team, {"id": found.body["_id"]})
    assert added.seen == (201, person(shared, "outsider"))
    assert shared("GET", team, by="outsider").seen == (200, [person(shared, "outsider")])
    assert shared("GET", flat_path(project), by="outsider").body["team"] == [shared.id("outsider")]
    member = shared("GET", f"{project}/members/{shared.uuid('outsider')}").body
    assert member["role_id"] == shared.role("contributor")
    made = shared("POST", f"{flat_path(project)}/tasks", {"name": "A", "description": "B", "phase": "business"})
    assert made.status == 201
    path = f"{team}/{shared.id('outsider')}"
    assert shared("DELETE", path).seen == (200, {"message": "Team member removed successfully."})
    assert shared("GET", team).seen == (200, [])
    assert shared("GET", flat_path(project), by="outsider").status == 403


def test_adding_or_removing_an_impossible_member_is_refused(shared: World) -> None:
    project = shared.new_project()
    team = f"{flat_path(project)}/team"
    shared.new_member(project, "viewer", "viewer")
    already = (400, {"error": "This user is a member of the project already."})
    assert shared("POST", team, {"id": shared.id("viewer")}).seen == already
    assert shared("POST", team, {"id": shared.id("owner")}).seen == already
    unknown = (400, {"error": "id: No such principal"})
    assert shared("POST", team, {"id": "64a1f2c3b4e5d6f7a8b9c0d1"}).seen == unknown
    assert shared("POST", team, {"id": shared.id("owner", "globex")}).seen == unknown
    assert shared("POST", team, {"id": "me"}).seen == (
        400,
        {"error": "id: Must be an id of 24 hex digits, such as 64a1f2c3b4e5d6f7a8b9c0d1"},
    )
    assert shared("POST", team, {}).seen == (400, {"error": "id: Field required"})
    assert shared("DELETE", f"{team}/{shared.id('outsider')}").seen == (404, {"error": "Member not found."})
    manager = shared("DELETE", f"{team}/{shared.id('owner')}")
    message = "This user is the project's manager, who cannot be removed."
    assert manager.seen == (409, {"error": message})
    assert [one["_id"] for one in shared("GET", team).body] == [shared.id("viewer")]


@pytest.mark.parametrize("dialect", ["flat", "v1"])
@pytest.mark.parametrize("role", ["viewer", "contributor", "manager"])
def test_every_member_may_remove_themselves(shared: World, dialect: str, role: str) -> None:
    """The member has no role in the space, and afterwards none in the project."""
    project = shared.new_project()
    v1 = shared.new_member(project, "outsider", role)
    path = v1 if dialect == "v1" else f"{flat_path(project)}/team/{shared.id('outsider')}"
    left = (204, None) if dialect == "v1" else (200, {"message": "Team member removed successfully."})
    assert shared("DELETE", path, by="outsider", key=f"{dialect}-{role}").seen == left
    assert shared("GET", v1).status == 404
    assert shared("GET", project, by="outsider").status == 403
    assert shared("DELETE", path, by="outsider", key=f"{dialect}-{role}").seen == left, "a replay"
    assert shared("DELETE", path, by="outsider").status == 403


@pytest.mark.parametrize("dialect", ["flat", "v1"])
def test_leaving_removes_no_other_member(shared: World, dialect: str) -> None:
    """The named manager cannot leave, and no member can leave an archived project."""
    project = shared.new_project()
    team = f"{flat_path(project)}/team"
    paths = {name: shared.new_member(project, name, "viewer") for name in ("viewer", "outsider")}
    paths["owner"] = f"{project}/members/{shared.uuid('owner')}"
    if dialect == "flat":
        paths = {name: f"{team}/{shared.id(name)}" for name in paths}
    assert shared("DELETE", paths["viewer"], by="outsider").status == 403
    assert shared("DELETE", paths["owner"], by="owner").status == 409
    assert shared("DELETE", paths["viewer"], by="viewer", headers={"If-Match": '"v-1"'}).status == 412
    assert shared("PATCH", project, {"status": "archived"}).status == 200
    assert shared("DELETE", paths["viewer"], by="viewer").status == 409
    assert shared("PATCH", project, {"status": "active"}).status == 200
    assert shared("DELETE", paths["viewer"], by="viewer").status in (200, 204)
    assert [one["_id"] for one in shared("GET", team).body] == [shared.id("outsider")]
    assert shared("DELETE", paths["viewer"], by="viewer").status == 404, "its role in the space is no membership"


@pytest.mark.parametrize("email", ["nobody@acme.example", "viewer@globex.example", "", "viewer"])
def test_person_of_another_tenant_is_not_found(shared: World, email: str) -> None:
    team = f"{flat_path(shared.new_project())}/team"
    assert shared("POST", f"{team}/find", {"email": email}).seen == (404, {"error": "User not found."})


@pytest.mark.parametrize("email", [None, 5, ["viewer@acme.example"], "x" * 255, "x" * 5_000, "\x00"], ids=repr)
def test_impossible_email_address_is_refused(shared: World, email: object) -> None:
    team = f"{flat_path(shared.new_project())}/team"
    refused = shared("POST", f"{team}/find", {"email": email})
    assert (refused.status, list(refused.body)) == (400, ["error"])
    assert shared("POST", f"{team}/find", {"email": "\U0001f600" * 254}).status == 404


def test_search_matches_the_beginning_of_a_name_word_or_email(shared: World) -> None:
    search = f"{flat_path(shared.new_project())}/team/search"

    def found(text: str) -> list[str]:
        answer = shared("GET", f"{search}?q={text}")
        assert answer.status == 200, answer
        return [one["email"].partition("@")[0] for one in answer.body]

    assert shared("GET", f"{search}?q=out").body == [person(shared, "outsider")]
    assert found("VIEW") == ["viewer"]
    assert found("viewer%20of") == ["viewer"]
    assert found("ac") == found("acme") == ["contributor", "outsider", "owner", "viewer"]
    assert found("viewer@acme.example") == ["viewer"]
    assert found("globex") == found("iewer") == []
    for text in ("%00%00", "%F0%9F%98%80" * 50, "%ff%fe", "EMAIL%23", "o%00"):
        assert found(text) == []
    for text in ("", "o", "%20%20", "x" * 101):
        refused = shared("GET", f"{search}?q={text}")
        assert refused.seen == (400, {"error": "q: Must have 2 to 100 characters"})
    assert shared("GET", search).seen == (400, {"error": "q: Field required"})


@pytest.mark.parametrize("text", [".*", "[a-z]+", "(o+)+$", "^out", "o%", "*", "out.*", "\\w\\w"])
def test_search_takes_every_character_literally(shared: World, text: str) -> None:
    search = f"{flat_path(shared.new_project())}/team/search"
    answer = shared.raw(
        "GET",
        f"{search}?q={''.join(f'%{byte:02x}' for byte in (text + text).encode())}",
        [("Authorization", f"Bearer {shared.principal('owner')['token']}")],
    )
    assert answer.seen == (200, [])


def test_search_matches_every_word_of_a_name_in_any_unicode_form(world: World, template: Template) -> None:
    team = f"{flat_path(world.new_project())}/team"
    people = {
        "zoe": "Zoë Ångström",
        "zoez": "Zoe\u0308 A\u030angstro\u0308m",
        "eight": "One Two Three Four Five Six Sevenfold Eighty",
        "city": "İstanbul Straße",
        "wide": "Ｗide Ｎame",
        "forty": " ".join(f"w{number:02}" for number in range(40)),
    }
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    principals = [{"name": name, "email": f"{key}@people.example"} for key, name in people.items()]
    for number, some in enumerate((principals[:3], principals[3:])):
        call(template.functions["Provision"], {"request_token": f"p{number}", "tenant_id": tenant, "principals": some})

    def found(text: str) -> list[str]:
        answer = world("GET", f"{team}/search?q={quote(text)}")
        assert answer.status == 200, answer
        return [one["email"].partition("@")[0] for one in answer.body]

    for text in ("zoë", "Zoe\u0308", "ZOE", "ångström", "A\u030angstro\u0308m", "angstrom", "zo\u00ade"):
        assert found(text) == ["zoe", "zoez"], text
    for text in ("eighty", "sevenfold eig", "six", "two  three"):
        assert found(text) == ["eight"], text
    for text in ("istanbul", "İstanbul", "ISTANBUL", "İSTANBUL", "strasse", "STRAẞE"):
        assert found(text) == ["city"], text
    assert found("wide") == found("ｗｉｄｅ") == ["wide"]
    assert found("w39") == found("w00 w01 w02") == ["forty"]
    for text in ("\u0308\u0308", "é", "e\u0301", "\u200b\u200b\u200b"):
        refused = world("GET", f"{team}/search?q={quote(text)}")
        assert refused.seen == (400, {"error": "q: Must have 2 to 100 characters"})
    # A normalised address may be longer than the sent one. It fits into a key or is unknown.
    for text in ("\ufdfa" * 100, "\U0001d163" * 100, "\u0390" * 100):
        assert found(text) == []
        assert world("POST", f"{team}/find", {"email": text * 2}).status in (400, 404)
    long = [{"name": "w " * 41, "email": "x@people.example"}]
    with pytest.raises(FunctionFailed, match="name: Must have at most 40 words"):
        call(template.functions["Provision"], {"request_token": "p3", "tenant_id": tenant, "principals": long})


def test_equal_addresses_in_different_spellings_find_the_same_person(world: World, template: Template) -> None:
    team = f"{flat_path(world.new_project())}/team"
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    request = {"request_token": "p", "tenant_id": tenant}
    stored = {"Jörg": "Jörg@xn--mnchen-3ya.example", "Eva": " Eva@faß.example ", "Odd": "odd@xn--a.example"}
    people = [{"name": name, "email": email} for name, email in stored.items()]
    call(template.functions["Provision"], request | {"principals": people})
    spellings = {
        "Jörg": (
            "jörg@münchen.example",
            "JO\u0308RG@MÜNCHEN.EXAMPLE",
            " jörg@XN--MNCHEN-3YA.example\n",
            "ｊörg@münchen。example",
        ),
        "Eva": ("eva@faß.example", "EVA@xn--fa-hia.example"),
        "Odd": ("odd@xn--a.example",),
    }
    for name, emails in spellings.items():
        for email in emails:
            answer = world("POST", f"{team}/find", {"email": email})
            assert (answer.status, answer.body.get("name")) == (200, name), email
            assert answer.body["email"] == stored[name].strip()
    for email in ("eva@fass.example", "jorg@münchen.example"):
        assert world("POST", f"{team}/find", {"email": email}).seen == (404, {"error": "User not found."})
    assert [one["name"] for one in world("GET", f"{team}/search?q={quote('jörg@mün')}").body] == ["Jörg"]
    twin = {"name": "Twin", "email": "JÖRG@münchen.example"}
    with pytest.raises(FunctionFailed, match="Belongs to a principal already"):
        call(template.functions["Provision"], request | {"request_token": "q", "principals": [twin]})
    for email in ("\u200b@acme.example", "a b@acme.example", "a@b@c", "a@", "\ufdfa" * 100 + "@a.example"):
        wrong = [{"name": "Wrong", "email": email}]
        with pytest.raises(FunctionFailed, match="email: Must"):
            call(template.functions["Provision"], request | {"request_token": "r", "principals": wrong})


def test_a_project_of_ones_own_does_not_open_the_directory(world: World, template: Template) -> None:
    """A contributor manages the projects that it creates."""
    tenant = world.dev["tenants"]["acme"]
    request = {"request_token": "p", "tenant_id": tenant["tenant_id"], "spaces": [{"name": "board"}]}
    board = [{"name": f"Director {n}", "email": f"d{n}@acme.example", "roles": {"board": "owner"}} for n in range(5)]
    spies = [
        {"name": "Director of Spies", "email": "spy@acme.example", "roles": {tenant["spaces"]["research"]: "viewer"}}
    ]
    call(template.functions["Provision"], request | {"principals": board + spies})
    teams = {name: f"{flat_path(world.new_project(by=name))}/team" for name in ("owner", "contributor")}
    of_a_member = world.new_project()
    world.new_member(of_a_member, "outsider", "manager")
    teams["outsider"] = f"{flat_path(of_a_member)}/team"

    def found(by: str, text: str) -> list[str]:
        answer = world("GET", f"{teams[by]}/search?q={quote(text)}", by=by)
        assert answer.status == 200, answer
        return [one["email"].partition("@")[0] for one in answer.body]

    everyone = ["d0", "d1", "d2", "d3", "d4", "spy"]
    assert found("owner", "director") == everyone
    assert found("contributor", "director") == found("contributor", "spy@") == ["spy"]
    assert found("contributor", "of acme") == ["contributor", "owner", "viewer"]
    assert found("contributor", "d0@acme.example") == found("contributor", "outsider") == []
    assert found("outsider", "director") == found("outsider", "outsider") == found("outsider", "owner") == []
    for by in teams:
        exact = world("POST", f"{teams[by]}/find", {"email": "d0@acme.example"}, by=by)
        assert (exact.status, exact.body["name"]) == (200, "Director 0")


def test_search_returns_at_most_ten_people(world: World, template: Template) -> None:
    search = f"{flat_path(world.new_project())}/team/search?q="
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    principals = [{"name": f"Zoë Number {n}", "email": f"zoe{n:02}@acme.example"} for n in range(12)]
    request = {"request_token": "many", "tenant_id": tenant, "principals": principals}
    call(template.functions["Provision"], request)
    assert len(world("GET", search + "zo").body) == 10
    assert len(world("GET", search + "ZO%C3%8B").body) == 10
    assert [one["name"] for one in world("GET", search + "number%2011").body] == ["Zoë Number 11"]


def test_team_shows_members_of_both_dialects_without_the_named_manager(shared: World) -> None:
    project = shared.new_project()
    shared.new_member(project, "viewer", "manager")
    team = f"{flat_path(project)}/team"
    assert shared("GET", team).body == [person(shared, "viewer")]
    assert shared("PATCH", project, {"manager_id": shared.uuid("viewer")}).status == 200
    assert shared("GET", team).body == [person(shared, "owner")]
    assert flat_id(shared.uuid("owner")) == shared.id("owner")
