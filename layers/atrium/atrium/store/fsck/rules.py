"""The rule of each kind of row."""

from collections.abc import Callable, Mapping

from atrium import keys
from atrium.keys import Key
from atrium.store.fsck import credentials, events, people, projects, queue, replays, webhooks
from atrium.store.fsck.damage import Rule

# Rules that need the ids of the key alone.
_BY_KIND: Mapping[str, Callable[..., Rule]] = {
    "member": projects.member,
    "note": projects.note,
    "principal_project": projects.principal_project,
    "space_project": projects.space_project,
    "tenant": people.tenant,
    "admins": people.admins,
    "tenant_space": people.tenant_space,
    "owners": people.owners,
    "space_member": people.space_member,
    "listed_principal": people.listed_principal,
    "external": people.external,
    "email": people.email,
    "name": people.name,
    "credential": credentials.credential,
    "principal_credential": credentials.principal_credential,
    "issued": credentials.issued,
    "endpoint_changes": webhooks.endpoint_changes,
    "endpoint_state": webhooks.endpoint_state,
    "delivery": webhooks.delivery,
    "open_delivery": webhooks.open_delivery,
    "recovery": webhooks.recovery,
}


# Rules that need the moment, too, up to which something is overdue.
_BY_KIND_AND_MOMENT: Mapping[str, Callable[..., Rule]] = {
    "space": people.space,
    "principal": people.principal,
    "endpoint": webhooks.endpoint,
    "due": webhooks.due,
    "purge": queue.queued,
}


def rule_of(key: Key, overdue: str, torn_since: str | None) -> Rule:
    """The rule of the row under a key. Deletions up to the moment `overdue` should be purged, and deliveries attempted;
    changes from the moment `torn_since` on may be there in part, since the table was restored."""
    named = keys.named(key)
    if named is None:
        return queue.unknown(key)
    ids = named.ids
    match named.kind:
        case "project":
            return projects.project(key, overdue)
        case "event":
            return events.event(key, ids["tenant"])
        case "replay":
            return replays.replay(key, ids["tenant"], torn_since)
        case "pulse":
            return queue.pulse(key)
        case kind if kind in keys.RECORDS:
            return projects.record(key, kind, ids["tenant"], ids["project"], ids["record"])
        case kind if kind in _BY_KIND_AND_MOMENT:
            return _BY_KIND_AND_MOMENT[kind](key, overdue, **ids)
        case kind:
            return _BY_KIND[kind](key, **ids)
