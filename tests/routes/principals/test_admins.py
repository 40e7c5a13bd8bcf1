"""A tenant always has an active admin, whichever of them demote and suspend each other at the same time."""

import json
from functools import partial

import pytest

from local.template import Template
from tests.support.client import Answer, World
from tests.support.principals import Enrol, path
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit, Crowd, at_once

LAST = (409, {"detail": "A tenant keeps one active admin."})
REFUSED = (403, {"detail": "You may not manage the principals of this tenant."})
DEMOTED, SUSPENDED = {"tenant_role": "member"}, {"status": "suspended"}
WAYS = [DEMOTED, SUSPENDED, {**DEMOTED, **SUSPENDED}]


def admins(world: World) -> set[str]:
    """The names of the active admins, as each admin of them is answered."""
    names = {world.uuid(name): name for name in world.dev["tenants"]["acme"]["principals"]}
    for by in ("owner", "second", "third"):
        if by in names.values() and (page := world("GET", "/v1/principals?limit=100", by=by)).status == 200:
            active = [each for each in page.body["data"] if each["status"] == "active"]
            return {names[each["id"]] for each in active if each["tenant_role"] == "admin"}
    raise AssertionError("no admin is left")


@pytest.mark.parametrize("way", WAYS)
def test_last_active_admin_stays(world: World, enrol: Enrol, way: dict[str, str]) -> None:
    enrol("second", tenant_role="admin")
    assert world("PATCH", path(world, "owner"), {"status": "suspended"}, by="second").status == 200
    refused = world("PATCH", path(world, "second"), way, by="second")
    assert (refused.seen, refused.headers["x-error-code"]) == (LAST, "last_admin")
    assert world("PATCH", path(world, "owner"), {"tenant_role": "member"}, by="second").status == 200
    assert world("PATCH", path(world, "owner"), {"tenant_role": "admin", "status": "active"}, by="second").status == 200
    assert world("PATCH", path(world, "second"), way, by="second").status == 200
    assert admins(world) == {"owner"}
    assert world("PATCH", path(world, "owner"), way).seen == LAST
    require_sound()


def test_admin_who_is_suspended_is_none_until_it_is_active_again(world: World, enrol: Enrol) -> None:
    enrol("second", tenant_role="admin")
    assert world("PATCH", path(world, "second"), SUSPENDED).status == 200
    assert world("PATCH", path(world, "owner"), DEMOTED).seen == LAST
    assert world("PATCH", path(world, "second"), {"status": "active"}).status == 200
    assert world("PATCH", path(world, "owner"), DEMOTED).status == 200
    assert world("GET", "/v1/principals").seen == REFUSED
    assert admins(world) == {"second"}
    require_sound()


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_of_two_admins_who_act_on_each_other_one_is_left(
    world: World, enrol: Enrol, before_commit: BeforeCommit, first: dict[str, str], second: dict[str, str]
) -> None:
    """The second one has read before the first one commits."""
    enrol("second", tenant_role="admin")
    before_commit(lambda other: other("PATCH", path(world, "second"), first))
    overtaken = world("PATCH", path(world, "owner"), second, by="second")
    assert overtaken.status == (401 if "status" in first else 403), overtaken
    assert admins(world) == {"owner"}
    require_sound()


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_of_two_last_admins_who_both_go_one_stays(
    world: World, enrol: Enrol, before_commit: BeforeCommit, first: dict[str, str], second: dict[str, str]
) -> None:
    """Neither touches what the other one's right rests on: only the number of admins does."""
    enrol("second", tenant_role="admin")
    before_commit(lambda other: other("PATCH", path(world, "owner"), first))
    assert world("PATCH", path(world, "second"), second, by="second").seen == LAST
    assert admins(world) == {"second"}
    require_sound()


@pytest.mark.parametrize("way", WAYS)
def test_admin_who_is_stopped_while_it_asks_changes_nothing(
    world: World, enrol: Enrol, before_commit: BeforeCommit, way: dict[str, str]
) -> None:
    enrol("second", tenant_role="admin")
    enrol("third", tenant_role="admin")
    before_commit(lambda other: other("PATCH", path(world, "second"), way))
    refused = world("PATCH", path(world, "third"), SUSPENDED, by="second")
    assert refused.status == (401 if "status" in way else 403)
    assert admins(world) == {"owner", "third"}
    before_commit(lambda other: other("PATCH", path(world, "third"), way))
    made = world("POST", "/v1/principals", {"name": "Ada", "email": "ada@acme.example"}, by="third")
    assert made.status == (401 if "status" in way else 403)
    require_sound()


def test_of_many_admins_who_all_go_at_once_one_stays(crowd: Crowd, template: Template) -> None:
    people = [
        {
            "name": f"A{number}",
            "email": f"a{number}@initech.example",
            "tenant_role": "admin",
            "credentials": [{"kind": "token"}],
        }
        for number in range(8)
    ]
    request = {"request_token": "admins", "tenant": {"name": "Initech"}, "principals": people}
    made = crowd.invoke(template.functions["Provision"], request)["principals"]

    def leave(number: int) -> Answer:
        headers = [("Authorization", f"Bearer {made[number]['credentials'][0]['secret']}")]
        way = json.dumps(WAYS[number % len(WAYS)]).encode()
        own = f"/v1/principals/{made[number]['principal_id']}"
        return crowd.world.raw("PATCH", own, [*headers, ("Content-Type", "application/json")], way)

    answers = at_once(*(partial(leave, number) for number in range(len(made))))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [409]
    (last,) = (answer for answer in answers if answer.status == 409)
    assert last.seen == LAST
