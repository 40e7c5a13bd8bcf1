"""Removing what a deletion left behind, however much that is.

A deletion commits a row in the purge queue together with its tombstone. From then on nothing is added below what was
deleted: every write below a project holds that META has no tombstone, every note that its task is there. So a purge
sees all there is to remove, and whoever does it again, or at the same time, finds less. It goes page by page, the
rows that point from elsewhere before the rows they follow from, and META and the row of the queue last, in one
transaction. A purge that dies leaves that row, and the next one goes on.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from atrium import keys
from atrium.errors import Unavailable
from atrium.ids import is_id
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, Range, Table, Write, starting_with
from atrium.store.engine.wire import expressions, wire_key

# How many rows are read, and then deleted, at a time.
PAGE = 400

_chance = random.SystemRandom()


class Unreadable(Exception):
    """A row of the purge queue does not say what was deleted: not Atrium wrote it."""


class NotDeleted(Exception):
    """The purge queue names what is not deleted. Somebody wrote it who is not Atrium; nothing was removed."""


@dataclass(frozen=True)
class Deletion:
    """A row of the purge queue: a deleted project (whose space is known), or a deleted task of one that is there."""

    tenant: str
    project: str
    task: str | None
    space: str | None
    deleted_at: str

    @classmethod
    def of(cls, row: Item) -> "Deletion":
        """Raises Unreadable for a row that is none, whatever is in it."""
        tenant, project, task, space, at = map(row.get, ("tenant", "project", "task", "space", "deleted_at"))
        ids = (tenant, project, space if task is None else task)
        if not all(isinstance(id, str) and is_id(id) for id in ids) or None not in (task, space) or not _is_moment(at):
            raise Unreadable
        deletion = cls(str(tenant), str(project), task, space, str(at))
        if deletion.queued != (row.get("pk"), row.get("sk")):
            raise Unreadable
        return deletion

    @property
    def queued(self) -> Key:
        return keys.purge(self.tenant, self.project, self.task)


class Purge:
    """The purge of one deletion. `removed` counts the rows."""

    def __init__(self, table: Table, deletion: Deletion) -> None:
        self._table = table
        self._deletion = deletion
        self._pk = keys.project(deletion.tenant, deletion.project).pk
        self.removed = 0

    def run(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Removes page after page; whether everything is gone, or it was time to stop. Raises NotDeleted, and
        Unavailable when the table is."""
        with scope(self._deletion.tenant):
            self._require_deleted()
        while not until():
            # Each page has its own time, as a request has.
            with scope(self._deletion.tenant):
                rows = self._page()
                if not rows:
                    self._finish()
                    return True
                for doomed in self._doomed(rows):
                    self._table.delete_all(doomed)
                self.removed += len(rows)
        return False

    def _require_deleted(self) -> None:
        deletion = self._deletion
        if deletion.task is None:
            meta = self._table.get(keys.project(deletion.tenant, deletion.project))
            alive = meta is not None and "deleted_at" not in meta
        else:
            alive = self._table.get(keys.record(deletion.tenant, deletion.project, "task", deletion.task)) is not None
        if alive:
            raise NotDeleted

    def _page(self) -> list[Item]:
        """The next rows to remove. META is not one of them: it keeps everybody out until it is the last."""
        if self._deletion.task is None:
            # One more than a page, so that META never is all of it while there is anything else.
            rows = self._table.query(Range(*keys.everything(self._pk), PAGE + 1))
            return [row for row in rows if row["sk"] != keys.META]
        return self._table.query(starting_with(self._pk, keys.notes(self._deletion.task), None, PAGE))

    def _doomed(self, rows: Iterable[Item]) -> Iterator[list[Key]]:
        """What goes for these rows, in turn."""
        deletion = self._deletion
        yield [
            keys.principal_project(deletion.tenant, row["principal"], deletion.project)
            for row in rows
            if row["sk"].startswith(keys.ROLE)
        ]
        yield [Key(row["pk"], row["sk"]) for row in rows]

    def _finish(self) -> None:
        deletion = self._deletion
        writes = [_delete(deletion.queued)]
        if deletion.space is not None:
            tombstone = "attribute_not_exists(#pk) OR attribute_exists(#deleted_at)"
            writes.append(_delete(keys.project(deletion.tenant, deletion.project), tombstone))
            writes.append(_delete(keys.space_project(deletion.tenant, deletion.space, deletion.project)))
        self._table.transact(writes, str(uuid4()))


def queued(table: Table) -> Iterator[Item]:
    """The rows of the purge queue: its shards in any order, each from a place of its own choosing on and round. Raises
    Unavailable when a shard could not be read, after the rows of all others."""
    unread = None
    for pk in _chance.sample(keys.purge_shards(), keys.PURGE_SHARDS):
        try:
            rows = list(_shard(table, pk))
        except Unavailable as error:
            unread = error
            continue
        place = _chance.randrange(len(rows)) if rows else 0
        yield from rows[place:] + rows[:place]
    if unread is not None:
        raise unread


def _shard(table: Table, pk: str) -> Iterator[Item]:
    after: str | None = None
    more = True
    while more:
        with scope(None, purges=True):
            rows = table.query(Range(*keys.everything(pk, after), PAGE))
        yield from rows
        more = rows.more and bool(rows)
        after = rows[-1]["sk"] if rows else None


def pulse(table: Table, now: str) -> None:
    """Writes the pulse, which the table's stream brings to its readers. Raises Unavailable."""
    with scope(None, purges=True):
        table.touch(keys.PULSE, "SET #at = :now", None, {"now": now})


def deadline(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds from now have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _is_moment(at: Any) -> bool:
    try:
        return bool(timestamp(datetime.fromisoformat(at)) == at)
    except (OverflowError, TypeError, ValueError):
        return False


def _delete(key: Key, when: str | None = None) -> Write:
    return Write("Delete", {"Key": wire_key(key), **expressions({}, ConditionExpression=when)})
