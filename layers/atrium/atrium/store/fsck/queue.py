"""The purge queue, the pulse that the sweep writes, and rows under keys that no kind of row has."""

from dataclasses import replace

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, is_project, is_right, malformed, read
from atrium.store.purge import Deletion, Unreadable


def queued(key: Key, overdue: str, tenant: str, project: str, task: str | None = None) -> Rule:
    about = keys.record(tenant, project, "task", task) if task else keys.project(tenant, project)
    row, deleted = yield from read(key, about)
    if row is None:
        return []
    try:
        deletion = Deletion.of(row)
    except Unreadable:
        return _unreadable(key, row, about, deleted, Deletion(tenant, project, task, None, overdue))
    if deleted is not None and "deleted_at" not in deleted:
        # This project must never be purged. The purge refuses it too; deleting the row ends the attempts.
        return [Damage("queue_row_of_living", key, {key: row, about: deleted}, {key: None})]
    if deletion.deleted_at <= overdue:
        return [Damage("purge_overdue", key, {key: row}, deletion=deletion)]
    return []


def _unreadable(key: Key, row: Item, about: Key, deleted: Item | None, deletion: Deletion) -> list[Damage]:
    """A row of the queue that does not say what was deleted. Its key and the rest of the project or task do, and the
    purge deletes the row too."""
    seen = {key: row, about: deleted}
    if deletion.queued == key and deletion.task is None and deleted is not None and "deleted_at" in deleted:
        if not is_project(deleted):
            return malformed("queue_row", key, row)
        return [Damage("queue_row_malformed", key, seen, deletion=replace(deletion, space=deleted["space"]))]
    if deletion.queued == key and deletion.task is not None and deleted is None:
        return [Damage("queue_row_malformed", key, seen, deletion=deletion)]
    return [Damage("queue_row_malformed", key, seen, {key: None})]


def pulse(key: Key) -> Rule:
    """The form of the row. The next sweep writes it anew."""
    (row,) = yield from read(key)
    return malformed("pulse", key, row) if row and not is_right("pulse", row) else []


def unknown(key: Key) -> Rule:
    (row,) = yield from read(key)
    if row and key.pk.startswith(keys.PURGE_PREFIX):
        return [Damage("queue_row_malformed", key, {key: row}, {key: None})]  # no purge can come of it
    return [Damage("unknown_key", key, {key: row})] if row else []
