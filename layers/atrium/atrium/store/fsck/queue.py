"""The purge queue, the pulse that the sweep writes, and rows under keys that no kind of row has."""

from atrium import keys
from atrium.keys import Key
from atrium.store.deletion import Deletion, Unreadable
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, is_project, is_right, malformed, read


def queued(key: Key, overdue: str, tenant: str, **ids: str) -> Rule:
    named = _named(tenant, ids, overdue)
    about = named.root
    row, deleted = yield from read(key, about)
    if row is None:
        return []
    try:
        deletion = Deletion.of(row)
    except Unreadable:
        return _unreadable(key, row, about, deleted, named)
    if deleted is not None and "deleted_at" not in deleted:
        # This must never be purged. The purge refuses it too; deleting the row ends the attempts.
        return [Damage("queue_row_of_living", key, {key: row, about: deleted}, {key: None})]
    if deletion.deleted_at <= overdue:
        return [Damage("purge_overdue", key, {key: row}, deletion=deletion)]
    return []


def _named(tenant: str, ids: dict[str, str], deleted_at: str) -> Deletion:
    """The deletion that a key names. That of a project lacks its space."""
    kind = next(kind for kind in ("task", "project", "space", "principal", "webhook") if kind in ids)
    return Deletion(kind, tenant, deleted_at, **ids)


def _unreadable(key: Key, row: Item, about: Key, deleted: Item | None, deletion: Deletion) -> list[Damage]:
    """A row of the queue that does not say what was deleted. Its key and the tombstone, or the rest of a task, do, and
    the purge deletes the row too."""
    seen = {key: row, about: deleted}
    is_deleted = deleted is None if deletion.kind == "task" else deleted is not None and "deleted_at" in deleted
    if deletion.queued != key or not is_deleted:
        return [Damage("queue_row_malformed", key, seen, {key: None})]
    if deletion.kind == "task" or deleted is None:
        return [Damage("queue_row_malformed", key, seen, deletion=deletion)]
    own = {"id": deletion.principal or deletion.space or deletion.webhook}
    form = "endpoint" if deletion.kind == "webhook" else deletion.kind
    if not (is_project(deleted) if deletion.kind == "project" else is_right(form, deleted, **own)):
        return malformed("queue_row", key, row)
    if deletion.kind == "project":
        deletion = Deletion("project", deletion.tenant, deletion.deleted_at, deletion.project, space=deleted["space"])
    return [Damage("queue_row_malformed", key, seen, deletion=deletion)]


def pulse(key: Key) -> Rule:
    """The form of the row. The next sweep writes it anew."""
    (row,) = yield from read(key)
    return malformed("pulse", key, row) if row and not is_right("pulse", row) else []


def unknown(key: Key) -> Rule:
    (row,) = yield from read(key)
    if row and key.pk.startswith(keys.PURGE_PREFIX):
        return [Damage("queue_row_malformed", key, {key: row}, {key: None})]  # no purge can come of it
    return [Damage("unknown_key", key, {key: row})] if row else []
