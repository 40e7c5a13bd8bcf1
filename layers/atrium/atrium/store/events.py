"""The events of a tenant, as its ledger has them: listed in the order of their places, and read.

The ledger has its rows in a few partitions, each in the order of its ids. A page reads so many rows of each at once,
and shows them in one order up to the horizon: where the first partition of which more is left was read to its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from atrium import keys
from atrium.errors import Code, Gone, NotFound
from atrium.ids import lowest_number
from atrium.models import Event, moment_of, timestamp
from atrium.permissions import Role
from atrium.settings import settings
from atrium.store.access import beyond_credential, project_access, tenant_access
from atrium.store.engine.table import Item, Range, Rows
from atrium.store.engine.work import Work
from atrium.store.rows import to_event

# No event appears any more behind what is older than this. A commit follows the ids that it writes within the 8.5 s of
# a request, or the 15 s of a function; the rest is for clocks that differ.
SETTLED_AFTER = timedelta(seconds=30)

# The most rows that a page reads to find those that a filter takes.
MOST_EXAMINED = 1_000

_BEHIND_IDS = 1 << 96


class Place(NamedTuple):
    """Up to where the ledger was examined: an id, and for how many days the ledger kept events then, 0 for ever."""

    id: str
    days: int


@dataclass(frozen=True)
class Wanted:
    """Which events, in which order. A type is a whole one, or the beginning of one and `*`; no type is each of them.
    `since` and `until` are timestamps, the first included, the second not."""

    types: Sequence[str] = ()
    project: str | None = None
    space: str | None = None
    actor: str | None = None
    since: str | None = None
    until: str | None = None
    is_ascending: bool = False

    @property
    def _values(self) -> dict[str, str]:
        wanted = {"project": self.project, "space": self.space, "actor": self.actor}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def is_filter(self) -> bool:
        """Whether some rows of its range may be left out."""
        return bool(self.types or self._values)

    def takes(self, row: Item) -> bool:
        if any(row.get(name) != value for name, value in self._values.items()):
            return False
        type: str = row["type"]
        return not self.types or any(
            type.startswith(each[:-1]) if each.endswith("*") else type == each for each in self.types
        )


class Told(NamedTuple):
    """An event. Of one that is not shown `whole`, the request and the credential are not for the caller."""

    event: Event
    whole: bool


@dataclass(frozen=True)
class Feed:
    """A page of events. `place` is up to where it examined the ledger, None where a descending list has ended;
    `goes_on` says whether there is more behind that now. Nothing appears before the moment `watermark` any more.
    """

    items: tuple[Told, ...]
    place: Place | None
    goes_on: bool
    watermark: str


class Events:
    """The events of a tenant, as the caller of one request may see them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._caller = work.caller

    def get(self, event: str) -> Told:
        """Raises Forbidden, and NotFound to whom may read all events."""
        key = keys.event(self._caller.tenant, event)
        self._work.read(key)
        row = self._work.item(key)
        if not self._may_all():
            project = row.get("project") if row else None
            if project is not None:
                self._work.read(*self._of_project(project))
            self._require_manager(project)
        if row is None:
            raise NotFound("Event not found.", Code.EVENT_NOT_FOUND)
        return Told(to_event(self._caller.tenant, row), self._may_all())

    def list(self, wanted: Wanted, *, limit: int, after: Place | None) -> Feed:
        """A page may be short or empty, and yet not the last. One in ascending order ends at the watermark, so nothing
        appears later behind what it has shown; one in descending order begins with the latest event.

        Raises Forbidden, and Gone where events may be missing behind the place `after` because they are no longer kept.
        """
        # Before the reads: what is older by then than the watermark, they all see.
        now = datetime.fromisoformat(self._work.now)
        settled = lowest_number(_milliseconds(now - SETTLED_AFTER)) if wanted.is_ascending else _BEHIND_IDS
        first = max(0, lowest_number(_milliseconds(wanted.since))) if wanted.since else 0
        last = (min(settled, lowest_number(_milliseconds(wanted.until))) if wanted.until else settled) - 1
        if after and wanted.is_ascending:
            first = max(first, int(after.id, 16) + 1)
        elif after:
            last = min(last, int(after.id, 16) - 1)
        oldest = _oldest(after, now) if wanted.is_ascending else None

        shards = self._read(wanted, limit, first, last) if oldest is None else self._read(wanted, limit, 0, -1)
        whole = self._may_all()
        if not whole:
            self._require_manager(wanted.project)
        if oldest is not None:
            message = f"Events are kept from {oldest} on, and older ones were asked for. Start again since that time."
            raise Gone(message, Code.EVENTS_EXPIRED)

        found, horizon = _merged(shards, wanted.is_ascending)
        fitting = [row for row in found if wanted.takes(row)]
        shown = fitting[:limit]
        end = shown[-1]["sk"] if len(fitting) > limit else horizon
        goes_on = end is not None
        if end is None and wanted.is_ascending:
            end = f"{max(last, int(after.id, 16) if after else 0):024x}"
        return Feed(
            tuple(Told(to_event(self._caller.tenant, row), whole) for row in shown),
            Place(end, settings().event_days) if end is not None else None,
            goes_on,
            timestamp(now - SETTLED_AFTER),
        )

    def _read(self, wanted: Wanted, limit: int, first: int, last: int) -> Sequence[Rows]:
        """The rows of each partition from the id of one number to that of another, in the wanted order, with what says
        what the caller may."""
        most = limit
        if wanted.is_filter:
            # A query reads one row more, to see whether there is one.
            most = MOST_EXAMINED // keys.LEDGER_SHARDS - 1
        spans = keys.ledger(self._caller.tenant, f"{first:024x}", f"{last:024x}") if first <= last else []
        of_project = self._of_project(wanted.project) if wanted.project is not None else ()
        ranges = [Range(*span, most, descending=not wanted.is_ascending) for span in spans]
        return self._work.read(*of_project, ranges=ranges)

    def _of_project(self, project: str) -> tuple[keys.Key, keys.Key]:
        tenant = self._caller.tenant
        return keys.project(tenant, project), keys.member(tenant, project, self._caller.principal)

    def _may_all(self) -> bool:
        """Whether the caller may read all events."""
        return tenant_access(self._work).allows("event:read")

    def _require_manager(self, project: str | None) -> None:
        """Who has all that a manager may in a project, may read its events while it is there. Raises Forbidden."""
        if project is not None:
            meta, member = map(self._work.item, self._of_project(project))
            if meta is not None:
                access = project_access(self._work, meta["space"], project, member)
                if access.covers(Role.MANAGER):
                    return
                if access.grants(Role.MANAGER):
                    raise beyond_credential()
        tenant_access(self._work).require("event:read")


def _merged(shards: Sequence[Rows], is_ascending: bool) -> tuple[Sequence[Item], str | None]:
    """The rows of all partitions in one order up to the horizon, and the horizon, None if no partition has more."""
    ends = [shard[-1]["sk"] for shard in shards if shard.more]
    rows = sorted((row for shard in shards for row in shard), key=lambda row: row["sk"], reverse=not is_ascending)
    if not ends:
        return rows, None
    if is_ascending:
        horizon = min(ends)
        return [row for row in rows if row["sk"] <= horizon], horizon
    horizon = max(ends)
    return [row for row in rows if row["sk"] >= horizon], horizon


def _oldest(after: Place | None, now: datetime) -> str | None:
    """The oldest moment of which all events are kept, if the place is before it; by the shorter of the times for which
    events were kept when the place was told, and are kept now."""
    days = [days for days in (after.days if after else 0, settings().event_days) if days]
    if after is None or not days:
        return None
    oldest = timestamp(now - timedelta(days=min(days)))
    return oldest if moment_of(after.id) < oldest else None


def _milliseconds(moment: datetime | str) -> int:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return round(at.timestamp() * 1000)
