"""Damage: rows that break a rule, with the rows that show it and the rows that repair it; and how a rule reads rows.

A rule is a generator. It yields the keys and ranges that it needs, gets the rows, and returns the damage it found. The
check advances many rules together, so that the needs of all of them are read at once.
"""

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field

from atrium import keys
from atrium.keys import Key
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Item, Range, Rows
from atrium.store.fsck.forms import is_formed


@dataclass(frozen=True)
class Damage:
    """Damage at the row `at`. `seen` has the rows that show it, None for a row that does not exist.

    The repair replaces rows of `seen` by those of `wanted`, where None deletes a row; or it purges a `deletion`.
    Without either the damage is reported only.
    """

    kind: str
    at: Key
    seen: Mapping[Key, Item | None]
    wanted: Mapping[Key, Item | None] = field(default_factory=dict)
    deletion: Deletion | None = None

    @property
    def repair(self) -> str | None:
        """The effect of the repair in a word, None without a repair."""
        if self.deletion is not None:
            return "purged"
        if not self.wanted:
            return None
        return "deleted" if all(row is None for row in self.wanted.values()) else "written"


@dataclass(frozen=True)
class Found:
    """Rows that were read: by key, None for a row that does not exist; and by range."""

    rows: Mapping[Key, Item | None]
    ranges: Mapping[Range, Rows]


Needs = Collection[Key | Range]
Rule = Generator[Needs, Found, list[Damage]]


def read(*wanted: Key) -> Generator[Needs, Found, list[Item | None]]:
    """The rows under these keys, for use with `yield from` in a rule."""
    found = yield wanted
    return [found.rows[key] for key in wanted]


def malformed(kind: str, key: Key, row: Item) -> list[Damage]:
    return [Damage(f"{kind}_malformed", key, {key: row})]


def is_right(kind: str, row: Item, **own: str | None) -> bool:
    """Whether the row has the form of its kind, and holds the ids of its key."""
    return is_formed(kind, row) and all(row[name] == id for name, id in own.items() if id is not None)


def is_alive(meta: Item) -> bool:
    """Whether rows can be judged by a project's META. They cannot by that of a deleted project, whose rows are purged,
    nor by a malformed one, which is reported itself."""
    return "deleted_at" not in meta and is_project(meta)


def unqueued(key: Key, root: Item, deletion: Deletion, overdue: str) -> Rule:
    """Each deletion is in the purge queue. Its row of the queue answers for how long it has been there."""
    (row,) = yield from read(deletion.queued)
    if row is not None:
        return []
    seen = {key: root, deletion.queued: None}
    if deletion.deleted_at <= overdue:
        return [Damage("deletion_not_queued", key, seen, deletion=deletion)]
    return [Damage("deletion_not_queued", key, seen, {deletion.queued: deletion.row})]


def is_project(meta: Item) -> bool:
    return is_formed("project", meta) and keys.project(meta["tenant"], meta["id"]) == (meta["pk"], meta["sk"])


def differs(row: Item, wanted: Item) -> bool:
    """Whether an attribute of `wanted` has another value in the row."""
    return any(row.get(name) != value for name, value in wanted.items())


def kind_of(key: Key) -> str:
    """The kind of row under a key, as atrium.keys names it, or `unknown`."""
    named = keys.named(key)
    return named.kind if named else "unknown"
