"""The check of whole ledgers: of each root no number twice, none missing from its oldest kept event to its latest, and
no event without one for an hour.

Rows are not in the order of their numbers, so a tenant's ledger is read whole, and the numbers are kept in memory: 8
bytes for each event, and some 500 for each root. A segment has a part of the roots, and reads all rows.

Whatever has a lower number than a row was committed before it. So all of it is there to be read if the row is older
than an hour: what lies above the highest such number is left to the next check. So is what lies below the numbers of
rows that do not expire within an hour, since the table removes what has expired in no order.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zlib import crc32

from atrium import keys
from atrium.ids import is_id
from atrium.keys import Key
from atrium.models import moment_of, timestamp
from atrium.settings import settings
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, Range
from atrium.store.fsck.check import Check
from atrium.store.fsck.damage import Damage
from atrium.store.history import tenants
from atrium.store.ledger import UNNUMBERED_AFTER, root_of

# The most rows of one query: a megabyte has fewer.
_PAGE = 10_000

_READ = ("sk", "sequence", "project", "principal", "webhook", "space", "event", "unsent")


@dataclass(slots=True)
class _Numbers:
    """The numbers of a root's events, and between which of them none may be missing; how many events have none yet, and
    how many of these are the publisher's no more: they are for Redrive to send."""

    given: "array[int]" = field(default_factory=lambda: array("Q"))
    low: int | None = None
    high: int = 0
    waiting: int = 0
    unsent: int = 0

    def add(self, number: int, settled: bool) -> None:
        self.given.append(number)
        if settled:
            self.low, self.high = min(number, self.low or number), max(number, self.high)


class Sequences(Check):
    """One run over the ledgers of all tenants, or of one. It may end behind any tenant, but not inside of a ledger."""

    def _pass(self) -> None:
        for place, is_tenant in self._places():
            if is_tenant:
                roots = self._ledger(keys.tenant_of(place.pk))
                if roots is None:
                    return
                for root, numbers in roots.items():
                    for damage in _judged(root, numbers):
                        self._count(damage)
            self._after = place
            if self._until():
                return
        self._after, self._complete = None, True

    def _places(self) -> Iterator[tuple[Key, bool]]:
        """The tenants, and places between them behind which the run may end."""
        if self._tenant is not None:
            return iter([(keys.tenant(self._tenant), True)])
        return tenants(self._table, self._after)

    def _ledger(self, tenant: str) -> dict[Key, _Numbers] | None:
        """By root, what the ledger has of it; None when time runs out."""
        now, days = datetime.now(UTC), settings().event_days
        newest, young = timestamp(now - UNNUMBERED_AFTER), timestamp(now - UNNUMBERED_AFTER / 2)
        oldest = timestamp(now - timedelta(days=days) + UNNUMBERED_AFTER) if days else ""
        roots: dict[Key, _Numbers] = {}
        for pk in keys.ledger_shards(tenant):
            for row in self._rows_of(pk):
                root = root_of(tenant, row)
                if "event" in row or not is_id(row["sk"]) or not self._has(root):
                    continue
                self._rows["event"] += 1
                numbers, moment = roots.setdefault(root, _Numbers()), moment_of(row["sk"])
                number = row.get("sequence")
                if moment <= newest and (number is None or "unsent" in row):
                    numbers.unsent += 1
                if isinstance(number, int) and 0 < number < 2**63:
                    numbers.add(number, settled=oldest <= moment <= newest)
                elif number is None and moment < young:  # else its number is above the highest that is judged
                    numbers.waiting += 1
            if self._until():
                return None
        return roots

    def _rows_of(self, pk: str) -> Iterator[Item]:
        span = keys.everything(pk)
        while not self._until():
            with scope(None, everything=True):
                rows = self._table.query(Range(*span, _PAGE, only=_READ))
            yield from rows
            if not rows.more:
                return
            span = keys.everything(pk, rows[-1]["sk"])

    def _has(self, root: Key) -> bool:
        """Whether a root is of this run's segment."""
        return self._segment is None or crc32(root.pk.encode()) % self._segment[1] == self._segment[0]


def _judged(root: Key, numbers: _Numbers) -> Iterator[Damage]:
    if numbers.unsent:
        yield Damage("event_unnumbered", root, {root: {"events": numbers.unsent}})
    given = sorted(numbers.given)
    if twice := next((number for number, following in pairwise(given) if number == following), None):
        yield Damage("sequence_twice", root, {root: {"sequence": twice}})
    settled = [number for number in given if numbers.low is not None and numbers.low <= number <= numbers.high]
    gaps = [(number + 1, following) for number, following in pairwise(settled) if number + 1 < following]
    # An event that has no number yet has one of those that are missing.
    if sum(end - start for start, end in gaps) > numbers.waiting:
        yield Damage("sequence_missing", root, {root: {"sequence": gaps[0][0]}})
