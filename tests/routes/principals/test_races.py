"""Two requests about people at the same time: the second has read before the first commits."""

import pytest

from tests.support.client import World
from tests.support.principals import events
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit

ADA = {"name": "Ada Lovelace", "email": "ada@acme.example"}


def test_overtaken_change_loses_nothing(world: World, before_commit: BeforeCommit) -> None:
    ada = world.new_principal()
    before_commit(lambda other: other("PATCH", ada, {"name": "Augusta Ada King", "external_id": "00u1"}))
    changed = world("PATCH", ada, {"name": "Ada King", "email": "king@acme.example"})
    shown = {name: changed.body[name] for name in ("name", "email", "external_id")}
    assert shown == {"name": "Ada King", "email": "king@acme.example", "external_id": "00u1"}
    assert (changed.status, changed.headers["etag"]) == (200, '"v-3"')
    told = events(world, changed.body["id"])
    assert [event.get("changed") for event in told] == [["email", "name"], ["external_id", "name"], None]
    require_sound()


def test_overtaken_change_of_a_version_is_refused(world: World, before_commit: BeforeCommit) -> None:
    ada = world.new_principal()
    before_commit(lambda other: other("PATCH", ada, {"status": "suspended"}))
    assert world("PATCH", ada, {"name": "Ada King"}, headers={"If-Match": '"v-1"'}).status == 412
    assert world("GET", ada).body["name"] == "Ada Lovelace"


@pytest.mark.parametrize("field", ["email", "external_id"])
@pytest.mark.parametrize("creates", [True, False])
def test_of_two_who_want_one_name_the_second_is_refused(
    world: World, before_commit: BeforeCommit, field: str, creates: bool
) -> None:
    grace, ada, wanted = world.new_principal(), world.new_principal(), {field: "one@acme.example"}
    before_commit(lambda other: other("PATCH", grace, wanted))
    second = world("POST", "/v1/principals", {**ADA, **wanted}) if creates else world("PATCH", ada, wanted)
    assert (second.status, second.headers["x-error-code"]) == (409, f"{field}_taken")
    query = {"email": "q", "external_id": "external_id"}[field]
    found = world("GET", f"/v1/principals?{query}=one@acme.example").body["data"]
    assert [each["id"] for each in found] == [grace.rpartition("/")[2]]
    require_sound()
