"""The principal whom a request names, to be given a role."""

from collections.abc import Callable, Sequence

from atrium import keys
from atrium.errors import Code, Conflict, Unfit
from atrium.keys import Key
from atrium.models import ACTIVE, Who
from atrium.store.engine.table import Item
from atrium.store.engine.work import Work
from atrium.text import address


class Named:
    """The principal whom a request names. `membership_of` spells the key of the row that it has as a member.

    One that is named by its id takes no round trip of its own, one that is named by its e-mail address takes one.
    """

    def __init__(self, work: Work, who: Who, membership_of: Callable[[str], Key]) -> None:
        self._work = work
        self._who = who
        self._membership_of = membership_of
        self._email_key = None if who.email is None else keys.email(work.caller.tenant, address(who.email))

    @property
    def first(self) -> Sequence[Key]:
        """The rows to be read with the first reading."""
        if self._email_key:
            return [self._email_key]
        return self._rows_of(self._who.principal) if self._who.principal else []

    def found(self, field: str = "principal") -> tuple[Item, Key]:
        """The principal's own row, and the key of the one that it has as a member, of which both were read. Holds that
        it is active, and has the address still.

        Raises Unfit for an unknown one, and Conflict for one that is suspended.
        """
        principal = self._who.principal
        if self._email_key:
            entry, field = self._work.item(self._email_key), "email"
            if entry is None:
                raise _unknown(field)
            principal = entry["principal"]
            self._work.check(self._email_key, "#principal = :named", named=principal)
            self._work.read(*self._rows_of(entry["principal"]))
        if principal is None:
            raise _unknown(field)
        own, membership = self._rows_of(principal)
        row = self._work.item(own)
        if row is None:
            raise _unknown(field)
        hold_active(self._work, own)
        return row, membership

    def _rows_of(self, principal: str) -> tuple[Key, Key]:
        return keys.principal(self._work.caller.tenant, principal), self._membership_of(principal)


def hold_active(work: Work, key: Key) -> None:
    """Refuses to give anything to a principal, whose row was read, that is suspended; holds at the commit that it is
    active. Raises Conflict."""
    row = work.item(key)
    if row is None or row["status"] != ACTIVE:
        raise Conflict("The principal is suspended.", Code.PRINCIPAL_SUSPENDED)
    work.check(key, "#status = :active", active=ACTIVE)


def _unknown(field: str) -> Unfit:
    return Unfit(field, "unknown_principal", "No such principal")
