"""A recovery: the events of a span of time that match a webhook and were not delivered begin to be delivered again.

It goes through the ledger page by page and notes how far it came, so one that dies goes on from there. Two that run at
once do the same twice, which changes nothing: an event begins again on condition of the delivery that was read.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

from atrium import keys
from atrium.ids import lowest_number
from atrium.models import Delivery, Recovery, Webhook, timestamp
from atrium.store.circuit import Line, given_up_at
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Table, Write
from atrium.store.engine.wire import expressions, wire_key
from atrium.store.history import rows
from atrium.store.rows import to_delivery, to_recovery, to_webhook

# How many events are looked at between two notes.
_PAGE = 100

# An event that a test made goes to the webhook that was tested, once.
TESTED = "webhook.tested"


class Recoverer:
    """One recovery of a webhook. Its methods raise Unavailable."""

    def __init__(self, table: Table, tenant: str, webhook: str, recovery: str) -> None:
        self._table = table
        self._tenant = tenant
        self._webhook = webhook
        self._key = keys.recovery(tenant, webhook, recovery)
        self._line = Line(table, tenant, webhook)

    def run(self, until: Callable[[], bool], begun: Callable[[], object]) -> bool:
        """Goes on until it is done, or it is time to stop; whether it is done. `begun` is called when some deliveries
        have begun again."""
        job, webhook = self._read()
        if job is None or job.status != "running":
            return True
        if webhook is not None and webhook.status == "active":
            self._line.drain(webhook)
            for page in _pages(self._counted(job)):
                job = self._note(job, total=(job.total or 0) + len(page), counted=page[-1]["sk"])
                if until():
                    return False
            for page in _pages(self._events(job)):
                recovered = self._begin_again(webhook, page)
                job = self._note(
                    job, done=job.done + len(page), recovered=job.recovered + recovered, after=page[-1]["sk"]
                )
                if recovered:
                    begun()
                if until():
                    return False
        self._finish(job)
        return True

    def _read(self) -> tuple[Recovery | None, Webhook | None]:
        root = keys.endpoint(self._tenant, self._webhook)
        with scope(self._tenant):
            found = self._table.get_all([self._key, root])
        row, webhook = found.get(self._key), found.get(root)
        alive = webhook is not None and "deleted_at" not in webhook
        self._counted_to = row.get("counted") if row else None
        return (
            to_recovery(self._tenant, self._webhook, row) if row else None,
            to_webhook(self._tenant, webhook) if webhook and alive else None,
        )

    def _counted(self, job: Recovery) -> Iterator[Item]:
        """The keys of the events that were not counted yet."""
        return rows(self._table, self._tenant, self._first(job, self._counted_to), self._last(job), only=("sk",))

    def _events(self, job: Recovery) -> Iterator[Item]:
        """The events that were not looked at yet."""
        names = ("sk", "type", "space", "project", "event")
        return rows(self._table, self._tenant, self._first(job, job.after), self._last(job), only=names)

    def _first(self, job: Recovery, after: str | None) -> int:
        return int(after, 16) + 1 if after else _number(job.since)

    def _last(self, job: Recovery) -> int:
        return _number(job.until) - 1

    def _begin_again(self, webhook: Webhook, page: Sequence[Item]) -> int:
        """Has those of the events wait that match and were not delivered; how many."""
        wanted = [
            row
            for row in page
            if row["type"] != TESTED
            and "event" not in row
            and webhook.wants(row["type"], row.get("space"), row.get("project"))
        ]
        if not wanted:
            return 0
        with scope(self._tenant):
            found = self._table.get_all([self._delivery(row) for row in wanted])
        now, begun = timestamp(datetime.now(UTC)), 0
        for row in wanted:
            kept = found.get(self._delivery(row))
            seen = to_delivery(self._tenant, self._webhook, kept) if kept else None
            if seen is not None and seen.status(now) != "failed":
                continue
            attempts, created = (seen.attempts, seen.created_at) if seen else (0, now)
            again = Delivery(
                self._tenant, self._webhook, row["sk"], row["type"], "pending", attempts, created, given_up_at(now)
            )
            begun += self._line.begin_again(again, seen)
        return begun

    def _delivery(self, row: Item) -> keys.Key:
        return keys.delivery(self._tenant, self._webhook, row["sk"])

    def _note(self, job: Recovery, **progress: Any) -> Recovery:
        sets = ", ".join(f"#{name} = :{name}" for name in progress)
        with scope(self._tenant):
            self._table.update(self._key, f"SET {sets}", "attribute_exists(#pk)", progress)
        return job._replace(**{name: value for name, value in progress.items() if name != "counted"})

    def _finish(self, job: Recovery) -> None:
        """The recovery is done, and the webhook may have another."""
        finished = timestamp(datetime.now(UTC))
        done = expressions(
            {"done": "done", "finished": finished},
            UpdateExpression="SET #status = :done, #finished_at = :finished",
            ConditionExpression="attribute_exists(#pk)",
        )
        free = expressions({"job": job.id}, UpdateExpression="REMOVE #job", ConditionExpression="#job = :job")
        state = keys.endpoint_state(self._tenant, self._webhook)
        writes = [
            Write("Update", {"Key": wire_key(self._key), **done}),
            Write("Update", {"Key": wire_key(state), **free}),
        ]
        with scope(self._tenant):
            try:
                self._table.transact(writes, str(uuid4()))
            except ConditionFailed:  # done by another one, or purged with its webhook
                return


def _pages(rows: Iterator[Item]) -> Iterator[Sequence[Item]]:
    while page := list(islice(rows, _PAGE)):
        yield page


def _number(moment: str) -> int:
    return max(0, lowest_number(round(datetime.fromisoformat(moment).timestamp() * 1000)))
