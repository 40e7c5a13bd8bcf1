"""The ledger: one row for each change of anything, written in the transaction of the change.

The root of an event is the thing whose changes are counted together: a project, a space, a principal, a
webhook or the tenant. It carries `sequence`, and in `last_events` the ids of the events of its latest change, in their
order. So the images of the root in the table's stream say which events have a number by now, and the publisher writes
the numbers into the rows. The rows outlive what they tell of.

Position in the ledger is by id, and an id has the moment of its decision. A commit follows its ids within
LAST_CALL_AFTER and a call's time, so behind that no event appears any more, but for one of a clock that is behind.
Such an event is listed a second time, at a position of the moment at which it was found: a copy of its row, which has
the event's own id in `event`. The first row has the copy's position in `relisted`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from atrium import documents, keys
from atrium.errors import Unavailable
from atrium.ids import milliseconds_of, new_ids
from atrium.keys import Key
from atrium.models import OPERATOR, Event, moment_of, timestamp
from atrium.settings import settings
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Table, Write
from atrium.store.engine.wire import expressions, plain_item, wire_item, wire_key
from atrium.store.engine.work import Work
from atrium.store.rows import event_row, to_event
from atrium.telemetry import counted as measured

# The most bytes of a resource, as JSON text, in an event. With it a row is below 16 KB.
MAX_RESOURCE_BYTES = 15 * 1024

# A commit that follows its events' ids by more than this is late: no writer with a right clock takes so long. Who reads
# the ledger in its order stays behind the present by more.
LATE_AFTER = timedelta(seconds=20)

# The publisher numbers an event within seconds. Behind this time it has failed, or goes on failing.
UNNUMBERED_AFTER = timedelta(hours=1)


class Root(NamedTuple):
    """The thing whose changes are counted together, by its key and its id: a project with its space, a space, a
    principal, a webhook, or none of them for the tenant. `last_events` are those that it has so far."""

    key: Key
    space: str | None = None
    project: str | None = None
    principal: str | None = None
    webhook: str | None = None
    last_events: Sequence[str] = ()


def root_of(tenant: str, row: Item) -> Key:
    """The key of an event's root."""
    match row:
        case {"project": project}:
            return keys.project(tenant, project)
        case {"principal": principal}:
            return keys.principal(tenant, principal)
        case {"webhook": webhook}:
            return keys.endpoint(tenant, webhook)
        case {"space": space}:
            return keys.space(tenant, space)
    return keys.tenant(tenant)


def tell(work: Work, root: Root, type: str, resource: Mapping[str, Any], changed: Iterable[str] | None = None) -> str:
    """Writes an event, and returns its id, which is above those of its root."""
    ids = work.events.setdefault(root.key, [])
    above = [*root.last_events, *ids]
    decided = datetime.fromisoformat(work.now)
    (id,) = new_ids(1, round(decided.timestamp() * 1000), above[-1] if above else None)
    ids.append(id)
    text, omitted = _short_enough(resource)
    caller = work.caller
    told = Event(
        id=id,
        tenant=caller.tenant,
        space=root.space,
        project=root.project,
        principal=root.principal,
        webhook=root.webhook,
        type=type,
        actor=None if caller.kind == OPERATOR else caller.principal,
        actor_kind=caller.kind,
        credential=caller.credential,
        issued_by=caller.issued_by,
        request=work.request,
        resource=text,
        changed=None if changed is None else tuple(sorted(changed)),
        omitted=omitted,
    )
    work.put(keys.event(told.tenant, id), event_row(told) | _expiry(id))
    return id


def last_events(row: Item | None) -> tuple[str, ...]:
    """Those of a root, by its row; none where there is no row yet."""
    return tuple(row["last_events"]) if row else ()


def principal_root(tenant: str, principal: str, row: Item | None) -> Root:
    """The root of a principal's events, by its row, None where there is no row yet."""
    return Root(keys.principal(tenant, principal), principal=principal, last_events=last_events(row))


def counted(work: Work, root: Key) -> Item:
    """The attributes that the row of a new root has of the events that it was told."""
    ids = work.events[root]
    return {"sequence": len(ids), "last_events": ids}


# A root that is not deleted.
STANDS = "attribute_exists(#pk) AND attribute_not_exists(#deleted_at)"


def count(work: Work, root: Key, when: str = STANDS, **fields: Any) -> None:
    """Writes on a root which events it was told, and the fields, and holds that it is there and not deleted."""
    told: dict[str, Any] = {"last_events": work.events[root], **fields}
    sets = ", ".join(f"#{name} = :{name}" for name in told)
    work.update(root, f"SET {sets} ADD #sequence :told", when, **told, told=len(work.events[root]))


def _expiry(id: str) -> Item:
    """When the table may remove the row at a position."""
    days = settings().event_days
    return {"ttl": milliseconds_of(id) // 1000 + days * 86_400} if days else {}


def has_expired(id: str) -> bool:
    """Whether the table may have removed an event, because it kept it for long enough."""
    days = settings().event_days
    return bool(days) and moment_of(id) < timestamp(datetime.now(UTC) - timedelta(days=days))


def _short_enough(resource: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A resource as JSON text, and the names of its longest fields, which are left out of one that is too long."""
    left, omitted = dict(resource), list[str]()
    while len((text := documents.render(left)).encode()) > MAX_RESOURCE_BYTES:
        longest = max(left, key=lambda name: len(documents.render(left[name])))
        del left[longest]
        omitted.append(longest)
    return text, tuple(sorted(omitted))


# ---------------------------------------------------------------- from the stream to numbered events


class Missing(Exception):
    """The ledger has no row of an event."""


class Announced(NamedTuple):
    """The events of one change of a root: their ids, the sequence of the first one, and when the change was committed,
    in seconds since 1970, None if that is not known."""

    tenant: str
    ids: tuple[str, ...]
    first: int
    committed: float | None


def announced(record: Mapping[str, Any]) -> Announced | None:
    """The events in a stream record of a root; None where there is nothing new, and for the sweep's pulse. Raises an
    exception for a record that is none of ours."""
    change = record["dynamodb"]
    image, before = change["NewImage"], change.get("OldImage", {})
    if image["pk"]["S"] == keys.PULSE.pk or before.get("sequence") == image["sequence"]:
        return None
    new = plain_item({name: image[name] for name in ("pk", "sequence", "last_events")})
    ids = tuple(new["last_events"])
    tenant = keys.tenant_of(new["pk"])
    return Announced(tenant, ids, new["sequence"] - len(ids) + 1, change.get("ApproximateCreationDateTime"))


def number(table: Table, tenant: str, id: str, sequence: int, committed: float | None = None) -> Event | None:
    """Writes an event's number into its row, and returns the event, in one call. None for one that is no longer kept,
    and for one that atrium.store.unsent is about to number; one that has got another number from there keeps it.
    An event that was committed late is listed again, once. Raises Missing and Unavailable."""
    key = keys.event(tenant, id)
    with scope(tenant):
        try:
            row = table.update(key, "SET #sequence = :sequence", _IS_THE_PUBLISHERS, {"sequence": sequence})
        except ConditionFailed:
            found = table.get(key)
            if found is None and not has_expired(id):
                raise Missing from None
            if found is None or "sequence" not in found:
                return None
            row = found
        except ClientError as error:
            # The table may be closed to writes (decision 0020): the stream has the change until it is open again.
            raise Unavailable from error
        if "relisted" not in row and committed is not None and _is_late(id, committed):
            _list_again(table, tenant, row, committed)
    return to_event(tenant, row)


_IS_THE_PUBLISHERS = (
    "attribute_exists(#pk) AND "
    "(#sequence = :sequence OR (attribute_not_exists(#sequence) AND attribute_not_exists(#unsent)))"
)


def _is_late(id: str, committed: float) -> bool:
    # The stream cuts the moment down to the second, and the commit may have been at its end.
    return committed + 1 - milliseconds_of(id) / 1000 > LATE_AFTER.total_seconds()


def _list_again(table: Table, tenant: str, row: Item, committed: float) -> None:
    """Writes the copy of an event's row, at a position of now, or of the commit where this process's clock is behind
    that, too. Raises Unavailable."""
    first = keys.event(tenant, row["sk"])
    now = datetime.now(UTC).timestamp()
    (position,) = new_ids(1, round(max(now, committed) * 1000))
    copied, expiry = keys.event(tenant, position), _expiry(position)
    copy = {**row, "pk": copied.pk, "sk": copied.sk, "event": first.sk, **expiry}
    put = {"Item": wire_item(copy), **expressions({}, ConditionExpression="attribute_not_exists(#pk)")}
    # The row may be erased in between, and its copy would not be.
    once = "attribute_not_exists(#relisted) AND #resource = :resource"
    values = {"relisted": position, "resource": row["resource"]}
    named = expressions(values, UpdateExpression="SET #relisted = :relisted", ConditionExpression=once)
    try:
        table.transact([Write("Put", put), Write("Update", {"Key": wire_key(first), **named})], str(uuid4()))
    except ConditionFailed:
        raise Unavailable from None  # listed, erased or expired since; the next attempt sees which
    seconds = round(committed - milliseconds_of(first.sk) / 1000)
    measured("An event is late", {"LateEvents": 1}, "WARN", tenant=tenant, event=first.sk, seconds=seconds)
