"""The purge queue: a row for each deletion whose rows are not all gone yet."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, get_args

from atrium import keys
from atrium.ids import is_id
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.engine.table import Item

Kind = Literal["project", "task", "space", "principal", "webhook"]

# The ids that a deletion of a kind has.
_IDS: dict[str, tuple[str, ...]] = {
    "project": ("project", "space"),
    "task": ("project", "task"),
    "space": ("space",),
    "principal": ("principal",),
    "webhook": ("webhook",),
}


class Unreadable(Exception):
    """A row of the purge queue does not say what was deleted: not Atrium wrote it."""


@dataclass(frozen=True)
class Deletion:
    """A row of the purge queue: a deleted project of a space, a deleted task of a project that is there, a deleted
    space, a deleted principal, or a deleted webhook."""

    kind: Kind
    tenant: str
    deleted_at: str
    project: str | None = None
    task: str | None = None
    space: str | None = None
    principal: str | None = None
    webhook: str | None = None

    @classmethod
    def of(cls, row: Item) -> "Deletion":
        """Raises Unreadable for a row that is none, whatever is in it."""
        found = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        kind: Any = found.get("kind")
        if kind not in get_args(Kind) or found.keys() != {"kind", "tenant", "deleted_at", *_IDS[kind]}:
            raise Unreadable
        ids, at = [found[name] for name in ("tenant", *_IDS[kind])], found["deleted_at"]
        if not all(isinstance(id, str) and is_id(id) for id in ids) or not _is_moment(at):
            raise Unreadable
        deletion = cls(**found)
        if deletion.queued != (row.get("pk"), row.get("sk")):
            raise Unreadable
        return deletion

    @property
    def row(self) -> Item:
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def queued(self) -> Key:
        """The key of the row."""
        match self.kind:
            case "space":
                return keys.purge_of_space(self.tenant, str(self.space))
            case "principal":
                return keys.purge_of_principal(self.tenant, str(self.principal))
            case "webhook":
                return keys.purge_of_webhook(self.tenant, str(self.webhook))
        return keys.purge(self.tenant, str(self.project), self.task)

    @property
    def root(self) -> Key:
        """The row that has the tombstone; of a task, the task that must be gone."""
        match self.kind:
            case "space":
                return keys.space(self.tenant, str(self.space))
            case "principal":
                return keys.principal(self.tenant, str(self.principal))
            case "webhook":
                return keys.endpoint(self.tenant, str(self.webhook))
            case "task":
                return keys.record(self.tenant, str(self.project), "task", str(self.task))
        return keys.project(self.tenant, str(self.project))


def _is_moment(at: Any) -> bool:
    try:
        return bool(timestamp(datetime.fromisoformat(at)) == at)
    except (OverflowError, TypeError, ValueError):
        return False
