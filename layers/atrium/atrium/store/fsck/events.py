"""The ledger: its rows have the form of events, and tell of a row that can be."""

from atrium import documents, keys
from atrium.keys import Key
from atrium.models import moment_of
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, is_right, malformed, read
from atrium.store.ledger import has_expired
from atrium.store.rows import row_of


def event(key: Key) -> Rule:
    (row,) = yield from read(key)
    return [] if row is None or is_event(key, row) else malformed("event", key, row)


def is_event(key: Key, row: Item) -> bool:
    """Whether a row is an event, and stands under its key."""
    if not is_right("event", row):
        return False
    try:
        resource = documents.parse(row["resource"])
        if "project" in row:
            row_of(row["type"], resource, moment_of(key.sk))
    except (KeyError, TypeError, ValueError):
        return False
    return keys.event(keys.tenant_of(key.pk), key.sk) == key


def told(key: Key, tenant: str, root: Item) -> Rule:
    """The events of a root's last change are in the ledger."""
    event_keys = [keys.event(tenant, id) for id in root["last_events"]]
    events = yield from read(*event_keys)
    return [
        Damage("event_missing", key, {key: root, event_key: None})
        for event_key, event in zip(event_keys, events, strict=True)
        if event is None and not has_expired(event_key.sk)
    ]
