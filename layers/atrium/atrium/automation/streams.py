"""Functions behind the table's stream, and the sweep behind them. A result names the failed records of a batch."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from atrium import keys
from atrium.automation.invocation import Handler
from atrium.cold_start import warm
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.deletion import Deletion, Unreadable
from atrium.store.engine.table import connect, table
from atrium.store.engine.wire import plain_item
from atrium.store.ledger import Missing, announced, number
from atrium.store.letters import dead_letters
from atrium.store.outbox import bus
from atrium.store.purge import NotDeleted, Purge, deadline, pulse, queued, settling
from atrium.telemetry import MAX_VALUES, counted, say, what_failed

# The sweep takes over a deletion that the stream has not purged for so long.
SWEPT_AFTER = timedelta(hours=1)

# Seconds of a purge's turn while others wait, so that one of millions of rows delays no other.
TURN = 20.0

# The most deletions of one sweep, in no particular order.
MAX_SWEPT = 10_000

# The most unreadable rows that one line names.
_MAX_NAMED = 10

# Seconds that are kept for sending the events that are numbered, and for the number that is being written.
_SENDING_SECONDS = 20.0

# Seconds of a function's time that are kept for reporting its progress.
_SPARE_SECONDS = 5.0


def publishing_handler() -> Handler:
    """The handler. Numbers the events of each record, publishes them, and reports the records of which one is not
    published.

    A record whose events cannot be read, or will never be accepted, becomes a dead letter, since the records behind it
    would wait for it. In a batch that is sent again (`redriven`) it is reported instead.
    """
    warm(lambda: (table(), bus()))

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        until = time.monotonic() + _seconds_left(context)
        events, failed, hopeless = _numbered(batch["Records"], until - _SENDING_SECONDS)
        left, refused = bus().publish([event for _, event in events], until)
        for place in refused:
            say("An event is refused", "ERROR", stream_record=events[place][0])
            hopeless[events[place][0]] = "EventRefused"
        if not batch.get("redriven"):
            _say_how_late([event for place, (_, event) in enumerate(events) if place not in left | refused])
        failed |= {events[place][0] for place in left} | _not_let_go(batch, hopeless, context)
        if failed:
            say("Not published", "WARN", published=len(events) - len(left | refused), failed=len(failed))
        return _failures(batch, failed)

    return handler


# A row of the ledger is there when its root's image is in the stream. If not, it may be restored within this time.
MISSING_FOR = timedelta(minutes=1)

Placed = tuple[str, dict[str, Any]]


def _numbered(records: Sequence[Mapping[str, Any]], until: float) -> tuple[list[Placed], set[str], dict[str, str]]:
    """The events of the records, numbered, each with the position of its record; the positions whose events could not
    be numbered now, or until this time; and those whose events never will be, with the condition."""
    events: list[Placed] = []
    failed: set[str] = set()
    hopeless: dict[str, str] = {}
    results = table().together([partial(_numbered_one, record, until) for record in records])
    for record, found in zip(records, results, strict=True):
        position = _position(record)
        match found:
            case list():
                events += [(position, event) for event in found]
            case Unavailable():
                failed.add(position)
            case Missing() if _is_new(record):
                failed.add(position)
            case error:
                say("No event can be read", "ERROR", stream_record=position, **what_failed(error))
                hopeless[position] = "EventUnreadable"
    return events, failed, hopeless


def _numbered_one(record: Mapping[str, Any], until: float) -> list[dict[str, Any]] | Exception:
    """The events of one record, or why there are none."""
    try:
        found = announced(record)
        if found is None:
            return []
        if time.monotonic() >= until:
            raise Unavailable
        numbers = enumerate(found.ids, found.first)
        kept = [number(table(), found.tenant, id, sequence, found.committed) for sequence, id in numbers]
        return [event.detail() for event in kept if event is not None]
    except Exception as error:
        return error


def _is_new(record: Mapping[str, Any]) -> bool:
    committed = record["dynamodb"].get("ApproximateCreationDateTime", 0)
    return bool(time.time() - committed < MISSING_FOR.total_seconds())


def _not_let_go(batch: Mapping[str, Any], hopeless: Mapping[str, str], context: Any) -> set[str]:
    """Leaves dead letters about records. `hopeless` maps positions to conditions. Returns those without a letter."""
    if batch.get("redriven"):
        return set(hopeless)
    kept = set()
    for record in batch["Records"]:
        if condition := hopeless.get(_position(record)):
            try:
                dead_letters().leave(record, condition, context)
            except Unavailable as error:
                say("No letter was left", "ERROR", stream_record=_position(record), **what_failed(error))
                kept.add(_position(record))
    return kept


def purging_handler() -> Handler:
    """The handler. Purges the deletion in each record's row of the purge queue, and reports the unfinished ones.

    A row that cannot be read, or of something that is not deleted, is not reported, since the records behind it
    would wait for it. It stays in the queue, and the sweep logs it.
    """
    warm(partial(connect, "GetItem"))

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        deletions: dict[str, Deletion] = {}
        unreadable: list[str] = []
        for record in batch["Records"]:
            try:
                deletions[_position(record)] = Deletion.of(plain_item(record["dynamodb"].get("NewImage", {})))
            except Unreadable:
                unreadable.append(_position(record))
        _say_unreadable(unreadable)
        over = _purge_in_turns(deletions, deadline(_seconds_left(context)))
        return _failures(batch, deletions.keys() - over.keys())

    return handler


def sweeping_handler() -> Handler:
    """The handler. Purges deletions that are in the purge queue for longer than SWEPT_AFTER.

    A row that cannot be read counts as overdue until it is repaired. Neither such a row nor a shard that does not
    answer stops the rest. The sweep begins with a pulse through the stream: see observability.yaml. Raises Unavailable
    when it could not read the whole queue.
    """
    warm(partial(connect, "GetItem"))

    def handler(_: Mapping[str, Any], context: Any) -> dict[str, Any]:
        stop = deadline(_seconds_left(context))
        with suppress(Unavailable):  # there are four pulses an hour
            pulse(table(), timestamp(datetime.now(UTC)))
        long_ago = timestamp(datetime.now(UTC) - SWEPT_AFTER)
        due: dict[str, Deletion] = {}
        unreadable: list[str] = []
        unseen = None
        try:
            for row in queued(table()):
                place = Key(row["pk"], row["sk"])
                try:
                    deletion = Deletion.of(row)
                except Unreadable:
                    unreadable.append(" ".join(keys.redacted(place)))
                else:
                    if deletion.deleted_at <= long_ago:
                        due[" ".join(place)] = deletion
                if len(due) == MAX_SWEPT:
                    break
        except Unavailable as error:
            unseen = error
        _say_unreadable(unreadable)
        found, purged = len(due) + len(unreadable), sum(_purge_in_turns(due, stop).values())
        if unseen is not None:
            raise unseen
        counted("Swept", {"SweptDeletions": purged, "OverdueDeletions": found - purged}, found=found)
        return {"found": found, "purged": purged}

    return handler


def _say_unreadable(names: Sequence[str]) -> None:
    """Logs the rows of the purge queue that cannot be read: their number, and the names of some."""
    if names:
        say("No deletion can be read", "ERROR", rows=len(names), deletions=names[:_MAX_NAMED])


def _purge_in_turns(deletions: Mapping[str, Deletion], stop: Callable[[], bool]) -> dict[str, bool]:
    """Purges deletions in turns; a purge goes on when all others have had their turn. Waits when nothing is left but to
    look again.

    Returns the finished ones by name: True if all rows are gone, False if nothing was deleted since it is alive.
    """
    over: dict[str, bool] = {}
    settled = {name: settling(deletion) for name, deletion in deletions.items()}
    waiting = deque(deletions)
    while waiting and not stop():
        name = waiting.popleft()
        is_over = deadline(TURN)
        try:
            if purge(deletions[name], lambda is_over=is_over: stop() or is_over(), settled[name]):  # type: ignore[misc]
                over[name] = True
            elif is_over() or not settled[name]():
                waiting.append(name)
        except Exception as error:
            say("Not purged", "ERROR", deletion=name, **what_failed(error))
            if isinstance(error, NotDeleted):
                over[name] = False
        while waiting and not stop() and not any(settled[name]() for name in waiting):
            time.sleep(1)
    return over


def purge(deletion: Deletion, stop: Callable[[], bool], settled: Callable[[], bool]) -> bool:
    """Purges one deletion. True if all of its rows are gone. Raises NotDeleted, as `Purge.run` does."""
    work = Purge(table(), deletion)
    try:
        done = work.run(stop, settled)
    except Unavailable:
        done = False
    counted(
        "Purged" if done else "Purged in part",
        {"PurgedRows": work.removed, "PurgedDeletions": int(done)},
        tenant=deletion.tenant,
        project=deletion.project,
        task=deletion.task,
        space=deletion.space,
        principal=deletion.principal,
    )
    return done


def _say_how_late(published: Sequence[Mapping[str, Any]]) -> None:
    """Logs how many milliseconds after its change each event was on the bus."""
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
