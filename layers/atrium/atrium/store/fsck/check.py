"""The check of the whole table against the rules that transactions keep.

It passes once over the keys. Each row is read with the rows that belong to it, and answers for itself and for rows that
should exist because of it. So damage is found at one row only, and the check remembers no more than a page.

The table is in use during a check, and rows that are read one after the other may be from before and after a change. So
damage counts only when a second look, a moment later, finds the very same rows: a change would have left another
`sequence` on META, or another row. For the same reason a repair is one transaction that holds every row it rests on as
it was seen. A repair leaves `sequence` and `last_events` alone, or the stream would publish an event. Damage that the
table alone cannot explain (the owner of a credential, the meaning of a malformed row) is reported and left to a person.

A table restored to a moment may have a part of a change made just before it: decision 0019 says which parts are found.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from atrium import keys
from atrium.errors import Unavailable
from atrium.ids import is_id, to_uuid
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.scope import scope
from atrium.store.engine.table import MAX_BATCH, ConditionFailed, Item, Range, Table
from atrium.store.fsck.damage import Damage, Found, kind_of
from atrium.store.fsck.repair import writes
from atrium.store.fsck.rules import rule_of
from atrium.store.purge import NotDeleted, Purge

# The purge follows a deletion within seconds, and the sweep within about an hour. After this time both have failed.
OVERDUE_AFTER = timedelta(hours=2)

# Seconds from one look to the next: longer than any change takes to become visible.
MOMENT = 0.5

# The most looks at a row that shows different damage each time: it is being changed.
_LOOKS = 4

# The most findings that a summary tells in detail.
MAX_DETAILS = 100

# The most letters of a name or an address that a place in the directory may show.
_LETTERS = 3

# A restored table may have a part of a change that was made at most this long before its moment.
TORN_WITHIN = timedelta(minutes=10)


class Check:
    """One run over a table, or over the rows behind `after`, in the order of the table, which stays the same.

    `segment` (i, n) limits it to a part of the table, `tenant` to one tenant. It stops when `until` is true.
    `restored_to` is the moment to which the table was restored.
    """

    def __init__(
        self,
        table: Table,
        *,
        repair: bool = False,
        until: Callable[[], bool] = lambda: False,
        overdue_after: timedelta = OVERDUE_AFTER,
        restored_to: datetime | None = None,
        after: Key | None = None,
        segment: tuple[int, int] | None = None,
        tenant: str | None = None,
    ) -> None:
        self._table = table
        self._after = after
        self._segment = segment
        self._tenant = tenant
        self._stopped_at: Key | None = None
        self._repairs = repair
        self._until = until
        self._overdue = timestamp(datetime.now(UTC) - overdue_after)
        self._torn_since = timestamp(restored_to - TORN_WITHIN) if restored_to else None
        self._complete = False
        self._rows: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._repaired: Counter[str] = Counter()
        self._unsettled = 0
        self._details: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Returns the summary, which is incomplete when the table does not answer or time runs out."""
        with suppress(Unavailable):
            self._pass()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The summary as JSON, without e-mail addresses, names, secrets and hashes of secrets.

        `complete` if the run reached the end of the table, else `after` is the row behind which the next run goes on.
        `clean` if no damage is left. By kind: `rows` that were checked, `damage` that was found, `repaired` and `left`.
        `unsettled` is the number of rows that changed too often to be judged; `details` are the first findings.
        """
        left = self._found - self._repaired
        return {
            "complete": self._complete,
            "after": None if self._complete or self._after is None else list(self._after),
            "clean": self._complete and not left,
            "rows": _sorted(self._rows),
            "damage": _sorted(self._found),
            "repaired": _sorted(self._repaired),
            "left": _sorted(left),
            "unsettled": self._unsettled,
            "details": self._details,
        }

    # ------------------------------------------------------------ the pass

    def _pass(self) -> None:
        """Checks row after row, in batches. A run may end behind any checked row, and the next go on there. It ends at
        the first row after its time whose place may be told."""
        is_late = self._until()
        if is_late:
            return
        rows, waiting = self._scan(), list[Key]()
        key = next(rows, None)
        while key is not None:
            waiting.append(key)
            following = next(rows, None)
            place = _place(key, following)
            if len(waiting) >= MAX_BATCH or following is None or (is_late and place):
                self._check(waiting)
                waiting = []
                self._after = place or self._after
                is_late = is_late or self._until()
                if is_late and place and following is not None:
                    return
            key = following
        self._after, self._complete = self._stopped_at, self._stopped_at is None

    def _scan(self) -> Iterator[Key]:
        """The keys of the table. In a check of one tenant many pages may have none, so it may stop behind one."""
        after = self._after
        while True:
            with scope(None, everything=True):
                page, after = self._table.scan_keys(after, self._segment, self._tenant)
            yield from page
            if after is None:
                return
            if not page and keys.redacted(after) == after and self._until():
                self._stopped_at = after
                return

    def _check(self, wanted: Sequence[Key]) -> None:
        suspected = self._look(wanted)
        self._rows.update(kind_of(key) for key in wanted)
        for _ in range(_LOOKS - 1):
            if not suspected:
                return
            time.sleep(MOMENT)
            again = self._look(list(dict.fromkeys(damage.at for damage in suspected)))
            for damage in again:
                if damage in suspected:
                    self._count(damage)
            suspected = [damage for damage in again if damage not in suspected]
        self._unsettled += len(suspected)

    def _look(self, wanted: Sequence[Key]) -> list[Damage]:
        """The damage at the rows. All rules advance together: each round reads the needs of all of them at once."""
        found: list[Damage] = []
        with scope(None, everything=True):
            rules = [rule_of(key, self._overdue, self._torn_since) for key in wanted]
            waiting = [(rule, next(rule)) for rule in rules]
            while waiting:
                rows = self._read({place for _, needs in waiting for place in needs})
                going_on = []
                for rule, _ in waiting:
                    try:
                        going_on.append((rule, rule.send(rows)))
                    except StopIteration as done:
                        found += done.value
                waiting = going_on
        return found

    def _read(self, places: set[Key | Range]) -> Found:
        single = [place for place in places if isinstance(place, Key)]
        ranges = [place for place in places if isinstance(place, Range)]
        batches = [single[position : position + MAX_BATCH] for position in range(0, len(single), MAX_BATCH)]
        calls: list[Callable[[], Any]] = [partial(self._table.get_all, batch) for batch in batches]
        results = self._table.together(calls + [partial(self._table.query, wanted) for wanted in ranges])
        rows: dict[Key, Item | None] = dict.fromkeys(single)
        for items in results[: len(batches)]:
            rows |= items
        return Found(rows, dict(zip(ranges, results[len(batches) :], strict=True)))

    # ------------------------------------------------------------ repairing

    def _count(self, damage: Damage) -> None:
        """Counts damage, and repairs it if the run repairs."""
        self._found[damage.kind] += 1
        done = self._repair(damage) if self._repairs and damage.repair else None
        if done and done == damage.repair:
            self._repaired[damage.kind] += 1
        if len(self._details) < MAX_DETAILS:
            detail = {
                "kind": damage.kind,
                "key": list(keys.redacted(damage.at)),
                "repairable": damage.repair is not None,
            }
            self._details.append(detail | _known_as(damage) | ({"done": done} if done else {}))

    def _repair(self, damage: Damage) -> str:
        """Returns the effect in words. A repair that fails does not stop the others."""
        try:
            if damage.deletion is not None:
                return "purged" if Purge(self._table, damage.deletion).run(self._until) else "purged in part"
            with scope(None, everything=True):
                self._table.transact(list(writes(damage)), str(uuid4()))
        except (ConditionFailed, NotDeleted):
            return "left, it has changed since"
        except Unavailable:
            raise
        except Exception as error:
            return f"left, {type(error).__name__}"
        return str(damage.repair)


def _place(key: Key, following: Key | None) -> Key | None:
    """A place behind a row and before the following one, which a summary may show; None if there is none. In the
    directory it is a few letters, too few for a name or an address."""
    if keys.redacted(key) == key:
        return key
    if following is None or following.pk != key.pk:
        return None
    if key.pk.startswith(keys.CREDENTIAL_PREFIX):
        return None
    beginnings = (following.sk[:length] for length in range(1, len(keys.EMAIL) + _LETTERS + 1))
    return next((Key(key.pk, sk) for sk in beginnings if key.sk < sk < following.sk), None)


def _known_as(damage: Damage) -> dict[str, Any]:
    """More members of a finding: the id of a credential, whose key is not shown; the event of a change, and the row
    that should show it; a number of an event."""
    if damage.kind == "change_in_part":
        _, event, changed = damage.seen.items()
        return {"event": (event[1] or {})["type"], "row": changed[0].sk}
    if "events" in (found := damage.seen[damage.at] or {}):
        return {"events": found["events"]}
    if damage.kind in ("sequence_twice", "sequence_missing"):
        return {"sequence": (damage.seen[damage.at] or {})["sequence"]}
    id = (damage.seen[damage.at] or {}).get("id")
    if kind_of(damage.at) == "credential" and isinstance(id, str) and is_id(id):
        return {"credential_id": to_uuid(id)}
    return {}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
