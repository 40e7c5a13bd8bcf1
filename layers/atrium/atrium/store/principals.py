"""Principals: who the callers are."""

from collections.abc import Sequence

from atrium import keys
from atrium.errors import Code, NotFound
from atrium.models import Caller, Page, Principal, Space, SpaceRole
from atrium.permissions import role_named
from atrium.store.engine.table import Item, Table
from atrium.store.engine.work import Work
from atrium.store.rows import to_space


class Principals:
    def __init__(self, work: Work) -> None:
        self._work = work

    def me(self) -> Principal:
        """The caller, with its space roles. Raises NotFound.

        Two round trips: which spaces, the first one says. A space whose row is not there has no projects either.
        """
        caller = self._work.caller
        item = self._mine()
        spaces = self._read(sorted(item["spaces"]))
        return Principal(
            id=caller.principal,
            tenant=caller.tenant,
            kind=item["kind"],
            name=item["name"],
            email=item["email"],
            spaces=tuple(SpaceRole(space, role_named(item["spaces"][space.id])) for space in spaces),
        )

    def spaces(self, *, limit: int, after: str | None) -> Page[Space]:
        """The spaces in which the caller has a role, by id, in two round trips as `me`. Raises NotFound."""
        ids = sorted(space for space in self._mine()["spaces"] if space > (after or ""))
        return Page(self._read(ids[:limit]), ids[limit - 1] if len(ids) > limit else None)

    def _mine(self) -> Item:
        """The caller's own item. Raises NotFound."""
        key = keys.principal(self._work.caller.tenant, self._work.caller.principal)
        self._work.read(key)
        item = self._work.item(key)
        if item is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        return item

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
