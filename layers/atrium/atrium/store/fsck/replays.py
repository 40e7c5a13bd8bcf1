"""Replays: the answers kept for idempotency keys."""

from atrium import keys
from atrium.keys import Key
from atrium.store.fsck.damage import Damage, Rule, is_alive, is_right, malformed, read
from atrium.store.fsck.projects import is_as_changed


def replay(key: Key, tenant: str, torn_since: str | None) -> Rule:
    """The change of a replay is in the table, or a later change may have undone it. The repair deletes the replay, so
    that a repeated request is carried out."""
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("replay", row):
        return malformed("replay", key, row)
    change = row.get("change")
    if change is None:
        return []  # the request changed no project
    meta_key = keys.project(tenant, change["project"])
    changed_key = Key(meta_key.pk, change["row"])
    meta, changed = yield from read(meta_key, changed_key)
    seen = {key: row, meta_key: meta, changed_key: changed}
    lost = [Damage("replay_of_nothing", key, seen, {key: None})]
    if meta is None:
        # A project that was created, deleted and purged looks the same, but takes longer than TORN_WITHIN.
        is_new = change["row"] == keys.META and change["sequence"] == 1
        return lost if is_new and torn_since is not None and change["at"] >= torn_since else []
    if not is_alive(meta) or is_as_changed(changed, change.get("at")):
        return []
    # An id is used once, but a principal may become a member again.
    is_final = "at" not in change and not change["row"].startswith(keys.ROLE)
    return lost if is_final or meta["sequence"] <= change["sequence"] else []
