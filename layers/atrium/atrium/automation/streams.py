"""Functions behind the table's stream, and the sweep behind them: batches in, what failed of them out."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from atrium import keys
from atrium.cold_start import warm
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.table import connect, table
from atrium.store.engine.wire import plain_item
from atrium.store.letters import dead_letters
from atrium.store.outbox import bus, event_in
from atrium.store.purge import Deletion, NotDeleted, Purge, Unreadable, deadline, pulse, queued
from atrium.telemetry import MAX_VALUES, counted, say, what_failed

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]

# A deletion that the stream has not purged for so long is the sweep's.
SWEPT_AFTER = timedelta(hours=1)

# Seconds that a purge takes at a time while others wait: one of millions of rows holds up no other.
TURN = 20.0

# As many deletions as a sweep takes on. Which ones, chance decides.
MAX_SWEPT = 10_000

# As many rows that cannot be read as one line names.
_MAX_NAMED = 10

# What a function keeps of its time for saying how far it came.
_SPARE_SECONDS = 5.0


def publishing_handler() -> Handler:
    """The handler. Publishes the event of each record, and reports those whose event was not taken. A record without an
    event that can be read, or with one that the bus will never take, is a dead letter, since it would keep all that is
    behind it waiting; in a batch that is sent again (`redriven`) it is reported.
    """
    warm(bus)

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        hopeless: dict[str, str] = {}
        events: list[tuple[str, dict[str, Any]]] = []
        for record in batch["Records"]:
            try:
                event = event_in(record)
            except Exception as error:
                say("No event can be read", "ERROR", stream_record=_position(record), **what_failed(error))
                hopeless[_position(record)] = "EventUnreadable"
            else:
                if event is not None:
                    events.append((_position(record), event))
        until = time.monotonic() + _seconds_left(context)
        left, refused = bus().publish([event for _, event in events], until)
        for place in refused:
            say("An event is refused", "ERROR", stream_record=events[place][0])
            hopeless[events[place][0]] = "EventRefused"
        _say_how_late([event for place, (_, event) in enumerate(events) if place not in left | refused])
        failed = {events[place][0] for place in left} | _not_let_go(batch, hopeless, context)
        if failed:
            say("Not published", "WARN", published=len(events) - len(left | refused), failed=len(failed))
        return _failures(batch, failed)

    return handler


def _not_let_go(batch: Mapping[str, Any], hopeless: Mapping[str, str], context: Any) -> set[str]:
    """Leaves letters about records, by position and for what; those about which there is none."""
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
    """The handler. Purges what each record's row of the purge queue names, and reports what is not purged yet. What
    cannot be read, and what is not deleted, is not reported, since it would keep all that is behind it waiting. Its row
    stays in the queue, where the sweep tells of it.
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
    """The handler. Purges what is in the purge queue for longer than SWEPT_AFTER. A row that cannot be read counts as
    overdue until it is repaired, and neither it nor a shard that does not answer stops the rest. It begins with a pulse
    through the stream: see observability.yaml. Raises Unavailable when it could not see the whole queue.
    """
    warm(partial(connect, "GetItem"))

    def handler(_: Mapping[str, Any], context: Any) -> dict[str, Any]:
        stop = deadline(_seconds_left(context))
        with suppress(Unavailable):  # there are four an hour
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
    """Tells of rows of the purge queue that cannot be read: how many, and the names of some."""
    if names:
        say("No deletion can be read", "ERROR", rows=len(names), deletions=names[:_MAX_NAMED])


def _purge_in_turns(deletions: Mapping[str, Deletion], stop: Callable[[], bool]) -> dict[str, bool]:
    """Purges deletions. By name, those there is no more to be done about: whether all is gone, or nothing since it is
    not deleted. A purge that has had its turn goes on when all others have had theirs."""
    over: dict[str, bool] = {}
    waiting = deque(deletions)
    while waiting and not stop():
        name = waiting.popleft()
        is_over = deadline(TURN)
        try:
            if purge(deletions[name], lambda is_over=is_over: stop() or is_over()):  # type: ignore[misc]
                over[name] = True
            elif is_over():
                waiting.append(name)
        except Exception as error:
            say("Not purged", "ERROR", deletion=name, **what_failed(error))
            if isinstance(error, NotDeleted):
                over[name] = False
    return over


def purge(deletion: Deletion, stop: Callable[[], bool]) -> bool:
    """Purges one deletion; whether all of it is gone. Raises what `Purge.run` raises."""
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
