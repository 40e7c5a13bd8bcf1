"""Webhooks, their deliveries, and what is due.

A deleted webhook answers for its place in the purge queue alone: the purge takes its rows. A row of what is due may
belong to nothing, since the sweep removes it when its time has come.
"""

from datetime import UTC, datetime

from atrium import keys
from atrium.keys import Key
from atrium.models import timestamp
from atrium.store.circuit import due_row
from atrium.store.deletion import Deletion
from atrium.store.engine.table import starting_with
from atrium.store.fsck.damage import Damage, Rule, is_right, malformed, read, unqueued
from atrium.store.fsck.events import told
from atrium.store.rows import to_delivery


def endpoint(key: Key, overdue: str, tenant: str, webhook: str) -> Rule:
    """A webhook for which deliveries wait is due."""
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("endpoint", row, id=webhook):
        return malformed("webhook", key, row)
    found = yield from told(key, tenant, row)
    if "deleted_at" in row:
        deletion = Deletion("webhook", tenant, row["deleted_at"], webhook=webhook)
        return found + (yield from unqueued(key, row, deletion, overdue))
    state_key = keys.endpoint_state(tenant, webhook)
    waiting = starting_with(state_key.pk, keys.OPEN, None, 1)
    read_now = yield [state_key, waiting]
    state, first = read_now.rows[state_key], read_now.ranges[waiting]
    if row["status"] == "active" and first and "due_at" not in (state or {}):
        # Any moment before now will do.
        at = row["updated_at"]
        due_key, waits = keys.due(at, tenant, webhook), Key(first[0]["pk"], first[0]["sk"])
        (due,) = yield from read(due_key)
        seen = {key: row, state_key: state, waits: first[0], due_key: due}
        wanted = {state_key: {**(state or {}), "due_at": at}, due_key: due_row(tenant)}
        found.append(Damage("webhook_not_due", key, seen, wanted))
    return found


def endpoint_changes(key: Key, **_: str) -> Rule:
    (row,) = yield from read(key)
    return malformed("webhook_changes", key, row) if row and not is_right("endpoint_changes", row) else []


def endpoint_state(key: Key, tenant: str, webhook: str) -> Rule:
    """A webhook that is due has a row which says so."""
    root_key = keys.endpoint(tenant, webhook)
    row, root = yield from read(key, root_key)
    if row is None:
        return []
    if root is None:
        return [Damage("of_no_webhook", key, {key: row, root_key: None}, {key: None})]
    if not is_right("endpoint_state", row):
        return malformed("webhook_state", key, row)
    if "due_at" not in row or "deleted_at" in root:
        return []
    due_key = keys.due(row["due_at"], tenant, webhook)
    (due,) = yield from read(due_key)
    if due is not None:
        return []
    return [Damage("due_row_missing", key, {key: row, due_key: None}, {due_key: due_row(tenant)})]


def delivery(key: Key, tenant: str, webhook: str, event: str) -> Rule:
    """A delivery that is to be attempted at a moment has a row which says so."""
    root_key = keys.endpoint(tenant, webhook)
    row, root = yield from read(key, root_key)
    if row is None:
        return []
    if root is None:
        return [Damage("of_no_webhook", key, {key: row, root_key: None}, {key: None})]
    if not is_right("delivery", row):
        return malformed("delivery", key, row)
    kept = to_delivery(tenant, webhook, row)
    at = kept.next_attempt_at
    if at is None or kept.status(timestamp(datetime.now(UTC))) != "pending" or "deleted_at" in root:
        return []
    due_key = keys.due(at, tenant, webhook, event)
    (due,) = yield from read(due_key)
    if due is not None:
        return []
    return [Damage("due_row_missing", key, {key: row, due_key: None}, {due_key: due_row(tenant, kept.attempts)})]


def open_delivery(key: Key, tenant: str, webhook: str, event: str) -> Rule:
    """A delivery that waits is there."""
    delivery_key = keys.delivery(tenant, webhook, event)
    row, kept = yield from read(key, delivery_key)
    if row is None or kept is not None:
        return []
    return [Damage("waiting_of_nothing", key, {key: row, delivery_key: None}, {key: None})]


def recovery(key: Key, tenant: str, webhook: str, **_: str) -> Rule:
    root_key = keys.endpoint(tenant, webhook)
    row, root = yield from read(key, root_key)
    if row is None:
        return []
    if root is None:
        return [Damage("of_no_webhook", key, {key: row, root_key: None}, {key: None})]
    return [] if is_right("recovery", row) else malformed("recovery", key, row)


def due(key: Key, overdue: str, tenant: str, webhook: str, event: str | None = None) -> Rule:
    """The sweep has sent what was due long ago. The rows of webhooks that are gone are its to remove, too."""
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("due", row, tenant=tenant) or keys.due(key.sk.partition("#")[0], tenant, webhook, event) != key:
        return malformed("due_row", key, row)
    return [Damage("due_row_overdue", key, {key: row})] if key.sk.partition("#")[0] <= overdue else []
