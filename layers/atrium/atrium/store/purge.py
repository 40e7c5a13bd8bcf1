"""Removing what a deletion left behind, however much that is.

A deletion commits a row in the purge queue together with its tombstone. From then on nothing is added below what was
deleted: every write below a project holds that META has no tombstone, every note that its task is there. So a purge
sees all there is to remove, and whoever does it again, or at the same time, finds less. It goes page by page, the
rows that point from elsewhere before the rows they follow from, and META and the row of the queue last, in one
transaction. A purge that dies leaves that row, and the next one goes on.

A request that has read before a space or a principal was deleted may commit behind it: it makes a project in the space,
or makes the principal a manager. So such a purge looks again when no request goes on that long, and removes that, too,
before it ends. So does that of a webhook, for what delivers to it.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from uuid import uuid4

from atrium import keys
from atrium.errors import Unavailable
from atrium.keys import Key
from atrium.store.deletion import Deletion, Unreadable
from atrium.store.departures import delete_slipped_in, follow, leave_project, leave_space
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Range, Table, Write, starting_with
from atrium.store.engine.wire import expressions, wire_key
from atrium.store.engine.work import Work

__all__ = ["Deletion", "NotDeleted", "Purge", "Unreadable", "deadline", "pulse", "queued", "settling"]

# How many rows are read, and then deleted, at a time.
PAGE = 400

# A request takes at most 8.5 s from what it has read, and the time of a last call. Behind this time, which the clocks
# of two machines may differ by too, nothing comes any more.
SETTLED_AFTER = 30.0

# The same of what delivers events to a webhook: a function that has read the webhook takes at most 40 s, and some more
# for the clocks.
DELIVERED_AFTER = 60.0

# The row under a digest is that of the credential, or gone.
_MINE = "attribute_not_exists(#pk) OR #id = :mine"

_chance = random.SystemRandom()


class NotDeleted(Exception):
    """The purge queue names a thing that is not deleted. No request of Atrium wrote that; nothing was removed."""


# Some rows to remove: how many, and how.
Doomed = tuple[int, Callable[[], None]]


class Purge:
    """The purge of one deletion. `removed` counts the rows."""

    def __init__(self, table: Table, deletion: Deletion) -> None:
        self._table = table
        self._deletion = deletion
        self._tenant = deletion.tenant
        self._root: Item | None = None
        self.removed = 0

    def run(self, until: Callable[[], bool] = lambda: False, settled: Callable[[], bool] | None = None) -> bool:
        """Removes page after page; whether everything is gone, or it was time to stop, or too early to end: before it
        is `settled`. Raises NotDeleted, NoHeir, and Unavailable when the table is."""
        settled = settled or settling(self._deletion)
        self._find_root()
        while not until():
            with scope(self._tenant):
                doomed = self._page()
                if not doomed:
                    if self._root is not None and not settled():
                        return False
                    self._finish()
                    return True
            for rows, remove in doomed:
                # Each has its own time, as a request has.
                with scope(self._tenant, credentials=self._deletion.kind == "principal"):
                    remove()
                self.removed += rows
                if until():
                    return False
        return False

    def _find_root(self) -> None:
        """Reads the tombstone. Raises NotDeleted."""
        with scope(self._tenant):
            self._root = self._table.get(self._deletion.root)
        if self._root is not None and (self._deletion.kind == "task" or "deleted_at" not in self._root):
            raise NotDeleted

    def _page(self) -> list[Doomed]:
        """The rows to be removed next. Of a space or a principal whose tombstone is gone nothing is left."""
        if self._root is None and self._deletion.kind in ("space", "principal", "webhook"):
            return []
        match self._deletion.kind:
            case "project":
                return self._of_project()
            case "task":
                return self._of_task()
            case "space":
                return list(self._of_space(str(self._deletion.space)))
            case "principal":
                return list(self._of_principal(str(self._deletion.principal)))
            case "webhook":
                return self._of_webhook(str(self._deletion.webhook))

    # ------------------------------------------------------------ what is left of each kind

    def _below_root(self) -> list[Item]:
        """The next rows of the partition. META is not one of them: it keeps everybody out until it is the last."""
        # One more than a page, so that META never is all of it while there is anything else.
        rows = self._table.query(Range(*keys.everything(self._deletion.root.pk), PAGE + 1))
        return [row for row in rows if row["sk"] != keys.META]

    def _of_project(self) -> list[Doomed]:
        rows = self._below_root()
        return [(len(rows), partial(self._remove_of_project, rows))] if rows else []

    def _remove_of_project(self, rows: Iterable[Item]) -> None:
        project = str(self._deletion.project)
        members = [row["principal"] for row in rows if row["sk"].startswith(keys.ROLE)]
        self._table.delete_all([keys.principal_project(self._tenant, member, project) for member in members])
        self._table.delete_all(list(map(_key, rows)))

    def _of_task(self) -> list[Doomed]:
        pk = keys.project(self._tenant, str(self._deletion.project)).pk
        rows = self._table.query(starting_with(pk, keys.notes(str(self._deletion.task)), None, PAGE))
        return [(len(rows), partial(self._table.delete_all, list(map(_key, rows))))] if rows else []

    def _of_webhook(self, webhook: str) -> list[Doomed]:
        """Its deliveries and all else below it. Rows that say when one is due go when they are."""
        pk = keys.endpoint_state(self._tenant, webhook).pk
        rows = self._table.query(Range(*keys.everything(pk), PAGE))
        return [(len(rows), partial(self._table.delete_all, list(map(_key, rows))))] if rows else []

    def _of_space(self, space: str) -> Iterator[Doomed]:
        """Members leave, projects that slipped in are deleted, and the number of owners goes."""
        for row in self._below_root():
            kind, _, id = row["sk"].partition("#")
            match f"{kind}#":
                case keys.ROLE:
                    yield 1, partial(self._follow, partial(leave_space, space=space, principal=id))
                case keys.PROJECT:
                    yield 1, partial(self._follow, partial(delete_slipped_in, space=space, project=id))
                case _:
                    yield 1, partial(self._table.delete_all, [_key(row)])

    def _of_principal(self, principal: str) -> Iterator[Doomed]:
        """Credentials end, then the principal leaves its projects and its spaces."""
        rows = self._below_root()
        for row in rows:
            if row["sk"].startswith(keys.CREDENTIAL):
                yield 1, partial(self._end_credential, row)
            elif not row["sk"].startswith(keys.PROJECT):
                yield 1, partial(self._table.delete_all, [_key(row)])
        for row in rows:
            if row["sk"].startswith(keys.PROJECT):
                yield 1, partial(self._follow, partial(leave_project, project=row["id"], principal=principal))
        # The map is in the tombstone itself.
        tombstone = None if rows else self._table.get(self._deletion.root)
        for space in sorted(tombstone["spaces"] if tombstone else ()):
            yield 1, partial(self._follow, partial(leave_space, space=space, principal=principal))

    def _end_credential(self, row: Item) -> None:
        """Removes a credential with the rows by which the authorizer finds it, and the one under what made it."""
        digests = [row[name] for name in ("sha256", "previous") if name in row]
        mine = [_delete(keys.credential(digest), _MINE, mine=row["id"]) for digest in digests]
        own = [_delete(_key(row))]
        if by := row.get("issued_by"):
            holder = str(self._deletion.principal)
            own.append(_delete(keys.issued(self._tenant, by["principal"], by["credential"], holder, row["id"])))
        try:
            self._table.transact([*mine, *own], str(uuid4()))
        except ConditionFailed:
            # An identity that was revoked before, and that another credential has now.
            self._table.transact(own, str(uuid4()))

    def _follow(self, change: Callable[[Work], None]) -> None:
        if self._root is not None:
            follow(self._table, self._tenant, self._root, change)

    def _finish(self) -> None:
        deletion = self._deletion
        writes = [_delete(deletion.queued)]
        if deletion.kind != "task":
            writes.append(_delete(deletion.root, "attribute_not_exists(#pk) OR attribute_exists(#deleted_at)"))
        if deletion.kind == "project":
            writes.append(_delete(keys.space_project(self._tenant, str(deletion.space), str(deletion.project))))
        self._table.transact(writes, str(uuid4()))


def settling(deletion: Deletion) -> Callable[[], bool]:
    """Whether nothing can slip in any more: so long after the deletion, and by any clock so long from now."""
    if deletion.kind in ("project", "task"):
        return deadline(0)
    since = time.time() - datetime.fromisoformat(deletion.deleted_at).timestamp()
    after = DELIVERED_AFTER if deletion.kind == "webhook" else SETTLED_AFTER
    return deadline(after - max(0.0, since))


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


def _key(row: Item) -> Key:
    return Key(row["pk"], row["sk"])


def _delete(key: Key, when: str | None = None, **values: str) -> Write:
    return Write("Delete", {"Key": wire_key(key), **expressions(values, ConditionExpression=when)})
