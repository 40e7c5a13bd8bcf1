"""Functions behind the table's stream, and the sweep behind them: batches in, what failed of them out."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from atrium.api.telemetry import MAX_VALUES, counted, say, what_failed
from atrium.cold_start import warm
from atrium.errors import Unavailable
from atrium.models import timestamp
from atrium.store.outbox import bus, event_in
from atrium.store.purge import Deletion, Purge, deadline, pulse, queued
from atrium.store.table import Item, connect, plain_item, table

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]

# A deletion that the stream has not purged for so long is the sweep's.
SWEPT_AFTER = timedelta(hours=1)

# Seconds that a purge takes at a time while others wait: one of millions of rows holds up no other.
TURN = 20.0

# As many deletions as a sweep takes on. Which ones, chance decides.
MAX_SWEPT = 10_000

# What a function keeps of its time for saying how far it came.
_SPARE_SECONDS = 5.0


def publishing_handler() -> Handler:
    """The handler. Publishes the event of each record, and reports those whose event was not taken."""
    warm(bus)

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        failed: set[str] = set()
        events: list[tuple[str, dict[str, Any]]] = []
        for record in batch["Records"]:
            try:
                event = event_in(record)
            except Exception as error:
                say("No event can be read", "ERROR", stream_record=_position(record), **what_failed(error))
                failed.add(_position(record))
            else:
                if event is not None:
                    events.append((_position(record), event))
        until = time.monotonic() + _seconds_left(context)
        left = bus().publish([event for _, event in events], until)
        failed |= {events[place][0] for place in left}
        _say_how_late([event for place, (_, event) in enumerate(events) if place not in left])
        if failed:
            say("Not published", "WARN", published=len(events) - len(left), failed=len(failed))
        return _failures(batch, failed)

    return handler


def purging_handler() -> Handler:
    """The handler. Purges what each record's row of the purge queue names, and reports what is not purged yet."""
    warm(connect)

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        rows = {_position(record): plain_item(record["dynamodb"].get("NewImage", {})) for record in batch["Records"]}
        purged = _purge_in_turns(rows, deadline(_seconds_left(context)))
        return _failures(batch, rows.keys() - purged)

    return handler


def sweeping_handler() -> Handler:
    """The handler. Purges what is in the purge queue for longer than SWEPT_AFTER; a bad row does not stop the rest. It
    begins with a pulse through the stream: see observability.yaml.
    """
    warm(connect)

    def handler(_: Mapping[str, Any], context: Any) -> dict[str, Any]:
        stop = deadline(_seconds_left(context))
        with suppress(Unavailable):  # there are four an hour
            pulse(table(), timestamp(datetime.now(UTC)))
        long_ago = timestamp(datetime.now(UTC) - SWEPT_AFTER)
        waiting = (row for row in queued(table()) if row.get("deleted_at", "") <= long_ago)
        rows = {f"{row['pk']} {row['sk']}": row for row in islice(waiting, MAX_SWEPT)}
        found, purged = len(rows), len(_purge_in_turns(rows, stop))
        counted("Swept", {"SweptDeletions": purged, "OverdueDeletions": found - purged}, found=found)
        return {"found": found, "purged": purged}

    return handler


def _purge_in_turns(rows: Mapping[str, Item], stop: Callable[[], bool]) -> set[str]:
    """Purges what rows of the purge queue name; the names of those of which all is gone. A purge that has had its turn
    goes on when all others have had theirs."""
    done: set[str] = set()
    waiting = deque(rows)
    while waiting and not stop():
        name = waiting.popleft()
        is_over = deadline(TURN)
        try:
            if purge(rows[name], lambda is_over=is_over: stop() or is_over()):  # type: ignore[misc]
                done.add(name)
            elif is_over():
                waiting.append(name)
        except Exception as error:
            say("Not purged", "ERROR", deletion=name, **what_failed(error))
    return done


def purge(row: Item, stop: Callable[[], bool]) -> bool:
    """Purges what a row of the purge queue names; whether all of it is gone. Raises what `Purge.run` raises."""
    deletion = Deletion.of(row)
    work = Purge(table(), deletion)
    try:
        done = work.run(stop)
    except Unavailable:
        done = False
    counted(
        "Purged" if done else "Purged in part",
        {"PurgedRows": work.removed, "PurgedDeletions": int(done)},
        tenant=deletion.tenant,
        project=deletion.project,
        task=deletion.task,
    )
    return done


def _say_how_late(published: Sequence[Mapping[str, Any]]) -> None:
    """How many milliseconds after its change each event was on the bus."""
    now = datetime.now(UTC)
    lags = [round((now - datetime.fromisoformat(event["time"])).total_seconds() * 1000) for event in published]
    for first in range(0, len(lags), MAX_VALUES):
        values: list[float] = [*lags[first : first + MAX_VALUES]]
        counted("Published", {"EventLag": values}, events=len(values))


def _position(record: Mapping[str, Any]) -> str:
    position: str = record["dynamodb"]["SequenceNumber"]
    return position


def _failures(batch: Mapping[str, Any], failed: set[str]) -> dict[str, Any]:
    positions = [_position(record) for record in batch["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": position} for position in positions if position in failed]}


def _seconds_left(context: Any) -> float:
    left: float = context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    return left
