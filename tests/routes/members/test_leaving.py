"""Members leave a project or a space by themselves, with a credential that may do all that they may."""

from typing import Any

import pytest

from atrium import keys
from atrium.credentials import digest
from tests.support.client import World, flat_id, flat_path
from tests.support.rows import require_sound, rows_here


def narrow(world: World, name: str, **to: Any) -> None:
    """Narrows a principal's token, past the API."""
    rows = rows_here()
    rows.change(keys.credential(digest(world.principal(name)["token"])), **to)


def of_space(world: World, name: str) -> str:
    return world.projects().rpartition("/")[0] + f"/members/{world.uuid(name)}"


@pytest.mark.parametrize("name", ["viewer", "contributor"])
def test_each_member_of_a_space_may_leave(world: World, name: str) -> None:
    assert world("DELETE", of_space(world, name), by=name).seen == (204, None)
    assert [space["name"] for space in world("GET", "/v1/me", by=name).body["spaces"]] == ["research"]
    assert world("GET", of_space(world, name)).status == 404
    refused = world("DELETE", of_space(world, "owner"), by="contributor" if name == "viewer" else "viewer")
    assert refused.status == 403, "no other may be removed"
    require_sound()


def test_last_owner_of_a_space_does_not_leave(world: World) -> None:
    rows = rows_here()
    tenant = flat_id(world.dev["tenants"]["acme"]["tenant_id"])
    owner = keys.principal(tenant, world.id("owner"))
    rows.change(owner, tenant_role="member")
    refused = world("DELETE", of_space(world, "owner"))
    assert refused.status == 409
    assert refused.headers["x-error-code"] == "last_owner"
    rows.change(owner, tenant_role="admin")
    assert world("DELETE", of_space(world, "owner")).status == 204, "an admin may"


@pytest.mark.parametrize("to", [["project:read"], ["project:read", "member:read", "record:write"]])
def test_credential_narrowed_to_permissions_does_not_leave(world: World, to: list[str]) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    narrow(world, "viewer", permissions=to)
    mine = (member, f"{flat_path(project)}/team/{world.id('viewer')}", of_space(world, "viewer"))
    for path in mine:
        refused = world("DELETE", path, by="viewer")
        assert (refused.status, refused.headers["x-error-code"]) == (403, "credential_narrowed")
    narrow(world, "viewer", permissions=None)


@pytest.mark.parametrize("here", [True, False])
def test_credential_narrowed_to_spaces_leaves_those(world: World, here: bool) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    space = "default" if here else "research"
    id = flat_id(world.projects(space).split("/")[3])
    narrow(world, "viewer", spaces=[id])
    status = 204 if here else 403
    assert world("DELETE", member, by="viewer").status == status
    assert world("DELETE", of_space(world, "viewer"), by="viewer").status == status
