"""Another request commits between the read and the commit of one that is about a space: each pair in its harmful order.

All orders of two and three requests are in test_schedules.py. Here are those that need what no route does, or a limit
that is lower than the real one.
"""

from collections.abc import Callable
from typing import Any

import pytest

from atrium import keys
from atrium.store import spaces
from atrium.store.engine.table import Table, table
from atrium.store.fsck.check import Check
from tests.support.client import Answer, World, flat_id
from tests.support.direct import direct
from tests.support.rows import set_status
from tests.support.world import BeforeCommit

SUSPENDED = (409, {"detail": "The principal is suspended."})


@pytest.fixture
def right_before_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Lets something happen to the table right before the next transaction."""

    def arrange(happens: Callable[[], None]) -> None:
        commit = Table.transact

        def transact(one: Table, writes: Any, token: str) -> None:
            monkeypatch.setattr(Table, "transact", commit)
            happens()
            commit(one, writes, token)

        monkeypatch.setattr(Table, "transact", transact)

    return arrange


def member(world: World, name: str, role: str) -> dict[str, str]:
    return {"principal_id": world.uuid(name), "role_id": world.role(role)}


GIFTS = ("a space of its own", "a role in a space", "a role in a space, by e-mail", "a role in a project")


def requests(world: World) -> dict[str, Callable[[], Answer]]:
    """Those that give the outsider a role."""
    lab, project = world.space("research"), world.new_project()
    by_email = {"email": "outsider@acme.example", "role_id": world.role("viewer")}
    return {
        "a space of its own": lambda: world("POST", "/v1/spaces", {"name": "B", "owner_id": world.uuid("outsider")}),
        "a role in a space": lambda: world("POST", f"{lab}/members", member(world, "outsider", "owner")),
        "a role in a space, by e-mail": lambda: world("POST", f"{lab}/members", by_email),
        "a role in a project": lambda: world("POST", f"{project}/members", member(world, "outsider", "viewer")),
    }


@pytest.mark.parametrize("gift", GIFTS)
def test_principal_that_is_suspended_in_between_is_not_added(
    world: World, right_before_commit: Callable[[Callable[[], None]], None], gift: str
) -> None:
    request = requests(world)[gift]
    before = len(world("GET", "/v1/spaces").body["data"])
    right_before_commit(lambda: set_status(world, "outsider", "suspended"))
    assert request().seen == SUSPENDED
    assert len(world("GET", "/v1/spaces").body["data"]) == before
    set_status(world, "outsider", "active")
    assert world("GET", "/v1/me", by="outsider").body["spaces"] == []
    assert Check(table()).run()["clean"]


@pytest.mark.parametrize("second", ["made", "joined"])
def test_of_two_that_give_the_last_space_that_a_principal_may_have_one_is_refused(
    world: World, before_commit: BeforeCommit, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    monkeypatch.setattr(spaces, "MAX_SPACES", 3)
    lab = world("POST", "/v1/spaces", {"name": "Lab", "owner_id": None}).body["id"]
    mine = {"name": "Mine", "owner_id": world.uuid("viewer")}
    before_commit(lambda other: other("POST", "/v1/spaces", mine))
    if second == "made":
        refused = world("POST", "/v1/spaces", {**mine, "name": "Mine too"})
    else:
        refused = world("POST", f"/v1/spaces/{lab}/members", member(world, "viewer", "viewer"))
    assert refused.seen == (409, {"detail": "A principal may have a role in at most 3 spaces."})
    assert len(world("GET", "/v1/me", by="viewer").body["spaces"]) == 3
    assert Check(table()).run()["clean"]


def test_two_roles_that_a_principal_gets_at_once_are_both_kept(world: World, before_commit: BeforeCommit) -> None:
    labs = [world("POST", "/v1/spaces", {"name": name}).body["id"] for name in ("Lab", "Works")]
    before_commit(lambda other: other("POST", f"/v1/spaces/{labs[0]}/members", member(other, "outsider", "manager")))
    answer = world("POST", f"/v1/spaces/{labs[1]}/members", member(world, "outsider", "viewer"))
    assert answer.status == 201
    mine = {each["space_id"]: each["role"] for each in world("GET", "/v1/me", by="outsider").body["spaces"]}
    assert mine == {labs[0]: "manager", labs[1]: "viewer"}


def test_owner_who_is_demoted_in_between_is_refused(world: World, before_commit: BeforeCommit) -> None:
    lab = f"/v1/spaces/{world('POST', '/v1/spaces', {'name': 'Lab'}).body['id']}"
    assert world("POST", f"{lab}/members", member(world, "viewer", "owner")).status == 201
    role = {"role_id": world.role("manager")}
    before_commit(lambda other: other("PATCH", f"{lab}/members/{other.uuid('viewer')}", role))
    refused = (403, {"detail": "You may not change this space."})
    assert world("POST", f"{lab}/members", member(world, "outsider", "viewer"), by="viewer").seen == refused
    assert len(world("GET", f"{lab}/members").body["data"]) == 2


def test_admin_who_is_one_no_more_takes_no_last_owner_away(
    world: World, right_before_commit: Callable[[Callable[[], None]], None]
) -> None:
    """The owner of the demo is an admin; its role in the space would permit all but that."""
    lab = f"/v1/spaces/{world('POST', '/v1/spaces', {'name': 'Lab'}).body['id']}"
    right_before_commit(lambda: set_status(world, "owner", "active", tenant_role="member"))
    refused = world("DELETE", f"{lab}/members/{world.uuid('owner')}")
    last = {"detail": "This is the last owner of the space. Make another member an owner first."}
    assert refused.seen == (409, last)
    assert len(world("GET", f"{lab}/members").body["data"]) == 1


@pytest.mark.parametrize("place", ["space", "project"])
def test_address_that_is_freed_in_between_is_unknown(
    world: World, right_before_commit: Callable[[Callable[[], None]], None], place: str
) -> None:
    path = world.space("research") if place == "space" else world.new_project()
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    right_before_commit(lambda: direct().write([], [keys.email(tenant, "outsider@acme.example")]))
    sent = {"email": "outsider@acme.example", "role_id": world.role("viewer")}
    unknown = {"loc": ["body", "email"], "msg": "No such principal", "type": "unknown_principal"}
    assert world("POST", f"{path}/members", sent).seen == (422, {"detail": [unknown]})
    assert world("GET", f"{path}/members/{world.uuid('outsider')}").status == 404
