"""The table at one moment, for the check of the table."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from atrium.keys import Key
from atrium.store.engine.table import Item, Range, Rows, Table

T = TypeVar("T")


class Snapshot(Table):
    """Rows in memory, which are read like those of a table and never written: a check of them makes no call to the
    engine."""

    def __init__(self, rows: Mapping[Key, Item]) -> None:
        self._rows = rows

    def get_all(self, wanted: Sequence[Key]) -> dict[Key, Item]:
        return {key: self._rows[key] for key in wanted if key in self._rows}

    def query(self, wanted: Range) -> Rows:
        assert not wanted.only
        assert not wanted.descending
        found = sorted(key for key in self._rows if key.pk == wanted.pk and wanted.start <= key.sk <= wanted.until)
        return Rows([self._rows[key] for key in found[: wanted.limit]], more=len(found) > wanted.limit)

    def scan_keys(
        self, after: Key | None = None, segment: tuple[int, int] | None = None, tenant: str | None = None
    ) -> tuple[list[Key], Key | None]:
        assert (after, segment, tenant) == (None, None, None)
        return sorted(self._rows), None

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]
