"""Principals: who the callers are."""

from collections.abc import Sequence

from atrium import keys
from atrium.models import Caller, Me, Principal, Space, SpaceRole
from atrium.store.engine.table import Table
from atrium.store.engine.work import Work
from atrium.store.rows import to_principal, to_space


class Principals:
    def __init__(self, work: Work) -> None:
        self._work = work

    def me(self) -> Me:
        """The caller, with its space roles.

        Two round trips: which spaces, the first one says. A space whose row is not there has no projects either.
        """
        me = self._mine()
        spaces = self._read(sorted(me.spaces))
        return Me(me, tuple(SpaceRole(space, me.spaces[space.id]) for space in spaces))

    def require_active(self) -> None:
        """For an answer that rests on nothing in the table. Raises Inactive."""
        self._work.read()

    def _mine(self) -> Principal:
        self._work.read()
        return to_principal(self._work.caller.tenant, self._work.me)

    def _read(self, ids: Sequence[str]) -> tuple[Space, ...]:
        """The spaces with these ids, in this order, without those whose row is not there."""
        tenant = self._work.caller.tenant
        wanted = [keys.space(tenant, id) for id in ids]
        if wanted:
            self._work.read(*wanted)
        return tuple(to_space(tenant, row) for row in map(self._work.item, wanted) if row is not None)


def acting(table: Table, tenant: str, principal: str) -> Caller | None:
    """A principal as a caller, where it is not the authorizer who says so; None if there is none."""
    item = table.get(keys.principal(tenant, principal))
    return Caller(tenant, principal, item["kind"]) if item else None
