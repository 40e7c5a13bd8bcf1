"""A principal is changed while it is deleted, or given something: the change finds none, and the purge leaves none."""

from collections.abc import Callable

import pytest

from local.template import Template
from tests.support.client import Answer, World
from tests.support.deletions import purge_all, rows_about
from tests.support.rows import require_sound
from tests.support.world import BeforeCommit

CHANGES: dict[str, Callable[[World, str], Answer]] = {
    "another name": lambda w, p: w("PATCH", p, {"name": "Ada King"}),
    "suspended": lambda w, p: w("PATCH", p, {"status": "suspended"}),
    "an admin": lambda w, p: w("PATCH", p, {"tenant_role": "admin"}),
    "a credential": lambda w, p: w("POST", f"{p}/credentials", {"kind": "token", "name": "A", "enrol": True}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_a_principal_that_is_deleted_in_between_finds_none(
    world: World, template: Template, before_commit: BeforeCommit, change: str
) -> None:
    principal = world.new_principal()
    before_commit(lambda other: other("DELETE", principal))
    refused = CHANGES[change](world, principal)
    assert refused.seen == (404, {"detail": "Principal not found."})
    assert world("GET", principal).seen == refused.seen
    purge_all(template)
    assert rows_about(principal.rpartition("/")[2]) == []
    require_sound()


def test_deletion_of_a_principal_that_is_changed_in_between_deletes_it_as_it_is_now(
    world: World, template: Template, before_commit: BeforeCommit
) -> None:
    """No row of the directory stays under the name that it got last."""
    principal = world.new_principal()
    before_commit(lambda other: other("PATCH", principal, {"name": "Grace Hopper", "tenant_role": "admin"}))
    assert world("DELETE", principal).status == 204
    purge_all(template)
    assert rows_about(principal.rpartition("/")[2]) == []
    require_sound()
