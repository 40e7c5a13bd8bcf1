"""Principals: who the callers are."""

from atrium import keys
from atrium.errors import Code, NotFound
from atrium.models import Caller, Principal, SpaceRole
from atrium.permissions import role_named
from atrium.store.engine.table import Table
from atrium.store.engine.work import Work


class Principals:
    def __init__(self, work: Work) -> None:
        self._work = work

    def me(self) -> Principal:
        """The caller, with its space roles. Raises NotFound.

        Two round trips: which spaces, the first one says. A space whose row is not there has no projects either.
        """
        caller = self._work.caller
        key = keys.principal(caller.tenant, caller.principal)
        self._work.read(key)
        item = self._work.item(key)
        if item is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        roles = {space: role_named(role) for space, role in sorted(item["spaces"].items())}
        rows = {space: keys.space(caller.tenant, space) for space in roles}
        if rows:
            self._work.read(*rows.values())
        found = {space: self._work.item(row) for space, row in rows.items()}
        return Principal(
            id=caller.principal,
            tenant=caller.tenant,
            kind=item["kind"],
            name=item["name"],
            email=item["email"],
            spaces=tuple(
                SpaceRole(space, row["name"], roles[space], is_default=space == caller.tenant)
                for space, row in found.items()
                if row is not None
            ),
        )


def acting(table: Table, tenant: str, principal: str) -> Caller | None:
    """A principal as a caller, where it is not the authorizer who says so; None if there is none."""
    item = table.get(keys.principal(tenant, principal))
    return Caller(tenant, principal, item["kind"]) if item else None
