"""The events of a span of time, in the order of a tenant's ledger: to be exported, or sent again.

The ledger has its rows in a few partitions, each in the order of its ids, so they are read side by side. However long
the span is, no more than a page of each partition is held.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from operator import itemgetter

from atrium import keys
from atrium.ids import lowest_number
from atrium.keys import Key, Span
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, Range, Table
from atrium.store.events import SETTLED_AFTER

# The most rows of one query: a megabyte mostly has more of them, or some less.
_PAGE = 1_000


def first_of(moment: datetime) -> int:
    """The number of the lowest id that a moment can have; of a moment before 1970, 0."""
    return max(0, lowest_number(round(moment.timestamp() * 1000)))


def settled() -> int:
    """The number of an id before which no event appears any more."""
    return first_of(datetime.now(UTC) - SETTLED_AFTER)


def rows(table: Table, tenant: str, first: int, last: int, only: tuple[str, ...] = ()) -> Iterator[Item]:
    """The rows of a tenant's ledger from the id of one number to that of another, ascending. `only` names the
    attributes to read, `sk` among them, if not all. Raises Unavailable."""
    if first > last:
        return iter(())
    spans = keys.ledger(tenant, f"{first:024x}", f"{last:024x}")
    return merge(*(_shard(table, tenant, span, only) for span in spans), key=itemgetter("sk"))


def _shard(table: Table, tenant: str, span: Span, only: tuple[str, ...]) -> Iterator[Item]:
    more = True
    while more:
        with scope(tenant):  # each page has its own time, as a request has
            page = table.query(Range(*span, _PAGE, only=only))
        yield from page
        more = page.more
        if page:
            span = span._replace(first=page[-1]["sk"] + "\x00")


def tenants(table: Table, after: Key | None = None) -> Iterator[tuple[Key, bool]]:
    """The keys of the tenants in the table behind the place `after`; and between them, with False, other places behind
    which a run may end, since a long part of the table may have no tenant. Raises Unavailable."""
    while True:
        with scope(None, everything=True):
            page, after = table.scan_keys(after)
        for key in page:
            if (named := keys.named(key)) and named.kind == "tenant":
                yield key, True
        if after is None:
            return
        if keys.redacted(after) == after:
            yield after, False
