"""The ledger: its rows have the form of events, tell of a row that can be, and have numbers up to that of their root.
The copy of a late event and its own row name each other."""

from datetime import UTC, datetime

from atrium import documents, keys
from atrium.keys import Key
from atrium.models import moment_of, timestamp
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, is_right, malformed, read
from atrium.store.ledger import UNNUMBERED_AFTER, has_expired, root_of
from atrium.store.rows import row_of

# Attributes of a row that its copy does not repeat: each has its own place and time.
_OF_THE_ROW = ("pk", "sk", "ttl", "event", "relisted", "unsent")


def event(key: Key, tenant: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_event(key, row):
        return malformed("event", key, row)
    if "event" in row:
        return (yield from _of_a_copy(key, tenant, row))
    found = yield from _numbering(key, tenant, row)
    return found + (yield from _copied(key, tenant, row)) if "relisted" in row else found


def _numbering(key: Key, tenant: str, row: Item) -> Rule:
    """A root that is there has counted the event; the rows of one that is not outlive it."""
    if "sequence" not in row or "unsent" in row:
        is_old = moment_of(key.sk) < timestamp(datetime.now(UTC) - UNNUMBERED_AFTER)
        return [Damage("event_unnumbered", key, {key: row})] if is_old else []
    root_key = root_of(tenant, row)
    # Read after the event, so it has counted at least what the publisher had numbered.
    (root,) = yield from read(root_key)
    counted = root.get("sequence") if root else None
    if not isinstance(counted, int) or row["sequence"] <= counted:
        return []
    return [Damage("event_above_its_root", key, {key: row, root_key: root})]


def _of_a_copy(key: Key, tenant: str, row: Item) -> Rule:
    """The event that a copy repeats is there, and says where it is listed again."""
    first_key = keys.event(tenant, row["event"])
    (first,) = yield from read(first_key)
    if (first is None and has_expired(first_key.sk)) or (first or {}).get("relisted") == key.sk:
        return []
    seen = {key: row, first_key: first}
    if first is None or "relisted" not in first:
        wanted = {**(first or _content(row)), "relisted": key.sk}
        return [Damage("late_event_of_nothing", key, seen, {first_key: wanted})]
    return [Damage("late_event_of_nothing", key, seen, {key: None})]


def _copied(key: Key, tenant: str, row: Item) -> Rule:
    """A late event is listed again where its row says so."""
    copy_key = keys.event(tenant, row["relisted"])
    (copy,) = yield from read(copy_key)
    if copy is not None or has_expired(key.sk):
        return []
    wanted = {**_content(row), "event": key.sk, **({"ttl": row["ttl"]} if "ttl" in row else {})}
    return [Damage("late_event_unlisted", key, {key: row, copy_key: None}, {copy_key: wanted})]


def _content(row: Item) -> Item:
    return {name: value for name, value in row.items() if name not in _OF_THE_ROW}


def is_event(key: Key, row: Item) -> bool:
    """Whether a row is an event, and stands under its key."""
    if not is_right("event", row):
        return False
    try:
        resource = documents.parse(row["resource"])
        if "project" in row and "erased_at" not in row:
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
