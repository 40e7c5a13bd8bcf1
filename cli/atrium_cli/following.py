"""Events as they happen, each once."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from atrium_cli.client import MAX_WAIT, Client, Query
from atrium_cli.failures import Exit, Failure
from atrium_cli.showing import note

# Seconds between two looks, while nothing is left to read.
INTERVAL = 5

# An event may be listed once more within minutes, in a later place.
_REMEMBERED = 10_000

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def follow(api: Client, path: str, query: Query, show: Callable[[Mapping[str, Any]], None], limit: int | None) -> None:
    """Shows each event from `since` on, or from now on; ends after `limit` of them."""
    seen: OrderedDict[str, None] = OrderedDict()
    shown = 0
    for event in _events(api, path, query):
        if event["id"] in seen:
            continue
        show(event)
        shown += 1
        if shown == limit:
            return
        seen[event["id"]] = None
        if len(seen) > _REMEMBERED:
            seen.popitem(last=False)


def _events(api: Client, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
    """All that are listed. Goes on while the API is busy, or cannot be reached; and after a pause so long that events
    were lost, which it says."""
    filters = [(name, value) for name, value in query if name != "since"]
    since = next((value for name, value in query if name == "since"), None)
    cursor, failures = None, 0
    while True:
        try:
            if since is None:
                since = api.read(path, [*filters, ("order", "desc"), ("limit", "1")])["meta"]["watermark"]
            place = [("order", "asc"), ("since", since), ("limit", "100"), *([("cursor", cursor)] if cursor else [])]
            page = api.read(path, [*filters, *place])
        except Failure as failure:
            if oldest := _oldest(failure):
                note(f"Events were lost: those before {oldest} are no longer kept.")
                since, cursor = oldest, None
                continue
            if failure.exit not in (Exit.BUSY, Exit.UNREACHABLE):
                raise
            if failures == 0:
                note(f"{failure.text()}\nTrying again until it answers.")
            failures += 1
            api.pause(min(INTERVAL * 2**failures, MAX_WAIT))
            continue
        if failures:
            note("It answers again.")
            failures = 0
        yield from page["data"]
        cursor = page["meta"]["next_cursor"]
        if not page["meta"]["has_more"]:
            api.pause(INTERVAL)


def _oldest(failure: Failure) -> str | None:
    """Where a cursor is too old, the time of the oldest events that are kept."""
    found = _MOMENT.search(str(failure.detail)) if failure.code == "events_expired" else None
    return found[0] if found else None
