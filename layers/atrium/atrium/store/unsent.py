"""Events of a ledger that the stream lost: numbered here, and given to the publisher again.

An event is the publisher's while the stream may bring its root's image, which has its number. Where that does not
happen for an hour, the number follows from the ledger: each root's numbers have no gap, so those that no row has belong
to the rows without one, and of two changes of which one knew the other the later one has the higher id. So the lowest
free number goes to the lowest id (decision 0047).

The publisher may come after all, with other numbers for changes made at the same time. So each row is marked first, by
`unsent`: the publisher leaves a marked row without a number alone, and takes the number of a row that has one. A row
without a number, once all of its root's rows are marked, gets none from the publisher any more, and each run that pairs
rows and numbers then does it in the same way. The mark is removed when the event is sent: a run that dies leaves it,
and the next one goes on.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from atrium import keys
from atrium.ids import is_id, lowest_number, milliseconds_of
from atrium.keys import Key
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Table
from atrium.store.history import first_of, rows
from atrium.store.ledger import LATE_AFTER, UNNUMBERED_AFTER, root_of
from atrium.telemetry import say

T = TypeVar("T")
R = TypeVar("R")

# All events with an older id are committed.
_COMMITTED_AFTER = timedelta(minutes=1)

_READ = ("sk", "type", "sequence", "project", "principal", "webhook", "space", "event", "unsent")

# The first event of a root has the number 1.
_FIRST = ("tenant.created", "space.created", "principal.created", "project.created")

# As many as the stream brings at a time.
BATCH = 100


class Numbered(NamedTuple):
    """An event by its root, its id and its number."""

    root: Key
    id: str
    sequence: int


def record_of(event: Numbered) -> dict[str, Any]:
    """The stream's record of a change that had this event alone."""
    image: dict[str, Any] = {
        "pk": {"S": event.root.pk},
        "sk": {"S": event.root.sk},
        "sequence": {"N": str(event.sequence)},
        "last_events": {"L": [{"S": event.id}]},
    }
    keyed = {name: image[name] for name in ("pk", "sk")}
    return {"eventName": "MODIFY", "dynamodb": {"Keys": keyed, "NewImage": image, "SequenceNumber": event.id}}


@dataclass(slots=True)
class _Waiting:
    """The events of a root that have no number: the ids of the first and the last one, and whether the publisher has
    had its hour. The second reading adds their `ids`, the numbers `given` to events near them, the highest number
    before them (`low`), 0 where the root's first event is among them; and the lowest behind them (`high`)."""

    first: str
    last: str
    is_due: bool = False
    ids: list[str] = field(default_factory=list)
    given: "array[int]" = field(default_factory=lambda: array("Q"))
    low: int | None = None
    high: int | None = None

    def look(self, row: Item, settled: str) -> None:
        """Takes a row of the root in, in the order of the ids. Of two changes whose ids differ by more than LATE_AFTER
        the one with the lower id was committed first."""
        number = row.get("sequence")
        if row.get("type") in _FIRST:
            self.low = 0
        if number is None:
            self.ids.append(row["sk"])
        elif row["sk"] < _shifted(self.first, -LATE_AFTER):
            self.low = max(number, self.low or 0)
        elif row["sk"] <= _shifted(self.last, LATE_AFTER):
            self.given.append(number)
        elif row["sk"] < settled:
            self.high = min(number, self.high or number)

    def numbers(self, counted: int | None) -> Sequence[int]:
        """Those of `ids`. `counted` is how many events the root had with these and the given ones as its last; None
        if it is gone. None of them where the ledger lacks rows, since it cannot be told whose number is whose."""
        if self.high is not None:
            counted = self.high - 1
        elif counted is None and self.low is not None:
            counted = self.low + len(self.ids) + sum(number > self.low for number in self.given)
        if counted is None:
            return []
        given = {number for number in self.given if number <= counted}
        low = counted - len(self.ids) - len(given) if self.low is None else self.low
        given = {number for number in given if number > low}
        if low < 0 or counted - low != len(self.ids) + len(given):
            return []
        return [number for number in range(low + 1, counted + 1) if number not in given]


def _shifted(id: str, by: timedelta) -> str:
    """The lowest id of a moment so far from that of an id."""
    return f"{lowest_number(milliseconds_of(id) + round(by.total_seconds() * 1000)):024x}"


# Gives records to the publisher, and returns the positions of those that it did not publish.
Send = Callable[[Sequence[Mapping[str, Any]]], set[str]]


class _Sender:
    """Sends events of a tenant again. `sent` and `failed` count them, and `left` those that have no number."""

    def __init__(self, table: Table, tenant: str, send: Send) -> None:
        self._table = table
        self._tenant = tenant
        self._give = send
        self.sent = self.failed = self.left = 0

    def _send(self, events: Sequence[Numbered]) -> list[Numbered]:
        """Returns those that are sent."""
        failed = self._give([record_of(event) for event in events])
        done = [event for event in events if event.id not in failed]
        self.sent += len(done)
        self.failed += len(events) - len(done)
        level = "WARN" if failed else "INFO"
        say("Sent again", level, tenant=self._tenant, events=len(done), failed=len(failed), up_to=events[-1].id)
        return done


class Again(_Sender):
    """Sends the events from the id of one number to that of another again, each once, in the order of the ledger."""

    def run(self, first: int, last: int, stop: Callable[[], bool]) -> str | None:
        """Returns the id behind which the next run goes on; None if this one reached the end. It ends, too, where
        nothing of a batch can be sent. Raises Unavailable."""
        found = (row for row in rows(self._table, self._tenant, first, last, _READ) if "event" not in row)
        before: str = f"{max(first - 1, 0):024x}"
        while batch := list(islice(found, BATCH)):
            events = [
                Numbered(root_of(self._tenant, row), row["sk"], row["sequence"]) for row in batch if "sequence" in row
            ]
            if events and not self._send(events):
                return before
            self.left += len(batch) - len(events)
            before = batch[-1]["sk"]
            if stop():
                return before
        return None


class Unsent(_Sender):
    """Numbers and sends the events of a ledger that have had no number for an hour, or that a run has marked."""

    def run(self, stop: Callable[[], bool]) -> bool:
        """Whether it came to the end of the ledger. Raises Unavailable."""
        now = datetime.now(UTC)
        self._committed = first_of(now - _COMMITTED_AFTER)
        ready = list[Numbered]()
        waiting = self._found(ready, f"{first_of(now - UNNUMBERED_AFTER):024x}", stop)
        # Whatever was committed before an event with an older id than this has been read.
        self._settled = f"{first_of(now - _COMMITTED_AFTER - LATE_AFTER):024x}"
        if waiting:
            for root, row in self._rows(stop):
                if root in waiting:
                    waiting[root].look(row, self._settled)
        for root, events in waiting.items():
            if stop():
                return False
            ready += self._numbered(root, events)
            while len(ready) >= BATCH:
                self._send_marked(ready[:BATCH])
                del ready[:BATCH]
        if stop():
            return False
        if ready:
            self._send_marked(ready)
        return True

    def _rows(self, stop: Callable[[], bool]) -> Iterator[tuple[Key, Item]]:
        """Each event whose change is committed, once, with its root; until it is time to stop. Rows that are no events
        are for the check of the table."""
        for row in rows(self._table, self._tenant, 0, self._committed - 1, _READ):
            if stop():
                return
            number = row.get("sequence", 1)
            if "event" not in row and is_id(row["sk"]) and isinstance(number, int) and 0 < number < 2**63:
                yield root_of(self._tenant, row), row

    def _found(self, ready: list[Numbered], due: str, stop: Callable[[], bool]) -> dict[Key, _Waiting]:
        """By root, the events without a number, where one has been so since the id `due`. Those with a number and a
        mark are `ready`."""
        found: dict[Key, _Waiting] = {}
        for root, row in self._rows(stop):
            number, is_marked = row.get("sequence"), "unsent" in row
            if number is None:
                waiting = found.setdefault(root, _Waiting(row["sk"], row["sk"]))
                waiting.last = row["sk"]
                waiting.is_due |= is_marked or row["sk"] < due
            elif is_marked:
                ready.append(Numbered(root, row["sk"], number))
        return {root: waiting for root, waiting in found.items() if waiting.is_due}

    def _numbered(self, root: Key, waiting: _Waiting) -> list[Numbered]:
        """Writes the numbers of a root's events, and returns the events; none where the numbers cannot be told."""
        with scope(self._tenant):
            item = self._table.get(root)
        counted = item["sequence"] if item else None
        changed = item is not None and any(id >= self._settled for id in item["last_events"])
        if (changed and waiting.high is None) or not waiting.numbers(counted):
            self.left += len(waiting.ids)
            return []
        for id, number in zip(list(waiting.ids), self._each(self._mark, waiting.ids), strict=True):
            if number is not None:
                waiting.ids.remove(id)
                waiting.given.append(number)
        events = [Numbered(root, *pair) for pair in zip(waiting.ids, waiting.numbers(counted), strict=False)]
        self.left += len(waiting.ids) - len(events)
        self._each(self._number, events)
        return events

    def _mark(self, id: str) -> int | None:
        """Returns the number that the publisher has written in the meantime, if it has."""
        key = keys.event(self._tenant, id)
        when = "attribute_exists(#pk) AND attribute_not_exists(#sequence)"
        try:
            self._table.update(key, "SET #unsent = :unsent", when, {"unsent": True})
        except ConditionFailed:
            row = self._table.get(key)
            return row.get("sequence") if row else None
        return None

    def _number(self, event: Numbered) -> None:
        when = "attribute_exists(#unsent) AND attribute_not_exists(#sequence)"
        with suppress(ConditionFailed):  # another run was quicker, with the same number; or it has expired
            self._table.update(
                keys.event(self._tenant, event.id), "SET #sequence = :sequence", when, {"sequence": event.sequence}
            )

    def _send_marked(self, events: Sequence[Numbered]) -> None:
        self._each(self._unmark, self._send(events))

    def _unmark(self, event: Numbered) -> None:
        with suppress(ConditionFailed):  # it has expired
            self._table.update(keys.event(self._tenant, event.id), "REMOVE #unsent", "attribute_exists(#pk)", {})

    def _each(self, call: Callable[[T], R], of: Sequence[T]) -> list[R]:
        """The results of calls about some events, many at once."""
        found = list[R]()
        for first in range(0, len(of), BATCH):
            with scope(self._tenant):
                found += self._table.together([partial(call, each) for each in of[first : first + BATCH]])
        return found
