"""Erasing, by an operator, in the ledger: the resources of the events about a project, or about one thing.

The rows stay, so that positions and numbers do. An event that is listed twice is erased in both places: the second is
written on condition that the first one still has what it copies (atrium.store.ledger).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from atrium import documents, keys
from atrium.ids import to_uuid
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Range, Table

# The most rows of one query: a megabyte of resources mostly has fewer.
_PAGE = 1_000


class Erasure:
    """One run over a tenant's ledger, behind the row `after`. It empties the resource of each event about the project
    `project`, or else about the thing `resource`, and stops behind any page when `until` is true."""

    def __init__(self, table: Table, tenant: str, project: str | None, resource: str | None) -> None:
        self._table = table
        self._tenant = tenant
        self._project = project
        self._resource = resource and to_uuid(resource)
        self.rows = self.erased = 0

    def run(self, after: Key | None, until: Callable[[], bool]) -> Key | None:
        """The row behind which the next run goes on; None if this one reached the end. Raises Unavailable."""
        for place, rows in self._pages(after):
            for row in rows:
                self.rows += 1
                if self._is_meant(row):
                    self._erase(row)
            if until():
                return place
        return None

    def _pages(self, after: Key | None) -> Iterator[tuple[Key, list[Item]]]:
        for pk in keys.ledger_shards(self._tenant):
            if after is not None and pk < after.pk:
                continue
            behind, more = (after.sk if after is not None and pk == after.pk else None), True
            while more:
                with scope(self._tenant):
                    rows = self._table.query(Range(*keys.everything(pk, behind), _PAGE))
                more = rows.more
                if rows:
                    behind = rows[-1]["sk"]
                    yield Key(pk, behind), rows

    def _is_meant(self, row: Item) -> bool:
        if "erased_at" in row:
            return False
        if self._project is not None:
            return bool(row.get("project") == self._project)
        about: Mapping[str, Any] = documents.parse(row["resource"])
        # A task's notes go with it.
        return self._resource in (about.get("id"), about.get("task_id"))

    def _erase(self, row: Item) -> None:
        at = timestamp(datetime.now(UTC))
        places = [keys.event(self._tenant, row["sk"])]
        while places:
            with scope(self._tenant):
                try:
                    left = self._table.update(
                        places.pop(),
                        "SET #resource = :resource, #erased_at = :erased_at REMOVE #omitted",
                        "attribute_exists(#pk) AND attribute_not_exists(#erased_at)",
                        {"resource": "null", "erased_at": at},
                    )
                except ConditionFailed:
                    continue  # erased, or expired, since it was read
            self.erased += 1
            if "relisted" in left:
                places.append(keys.event(self._tenant, left["relisted"]))
