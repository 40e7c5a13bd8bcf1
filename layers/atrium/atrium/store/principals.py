"""Principals: who the callers are."""

from collections.abc import Sequence

from atrium import keys
from atrium.keys import Key
from atrium.models import Caller, Me, Principal, Space, SpaceRole
from atrium.store.access import space_access
from atrium.store.engine.table import Table
from atrium.store.engine.work import Work
from atrium.store.rows import to_credential, to_principal, to_space


class Principals:
    def __init__(self, work: Work) -> None:
        self._work = work

    def me(self) -> Me:
        """The caller, with its credential and its roles in those spaces that it may read with that.

        Two round trips: which spaces, the first one says. A space whose row is not there has no projects either.
        """
        caller = self._work.caller
        key = keys.principal_credential(caller.tenant, caller.principal, caller.credential or "")
        me = self._mine(key)
        spaces = self._read(self._readable(me))
        row = self._work.item(key)
        credential = to_credential(caller.tenant, caller.principal, row) if row else None
        return Me(me, tuple(SpaceRole(space, me.spaces[space.id]) for space in spaces), credential, caller.narrowed)

    def require_active(self) -> None:
        """For an answer that rests on nothing in the table. Raises Inactive."""
        self._work.read()

    def _readable(self, me: Principal) -> list[str]:
        """Of the spaces in which the caller has a role, those that it may read with its credential."""
        return sorted(space for space in me.spaces if space_access(self._work, space).allows("project:read"))

    def _mine(self, *also: Key) -> Principal:
        self._work.read(*also)
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
    return Caller(tenant, principal, item["kind"]) if item and "deleted_at" not in item else None
