"""The webhooks of a tenant, as its admins see and change them.

A webhook's own row is the root of its events. What delivers to it keeps its findings beside that row, in one that no
request shows (atrium.store.circuit), and writes in the row itself only how deliveries get there and that it is
disabled.

What two of them racing may leave. A change holds the version that it read, so the second to commit decides again. All
that adds a webhook, or gives one another URL, counts on in one row of the tenant and holds what it read there: of two
that would pass a limit together, the second decides on what the first one did. A deletion leaves a tombstone, and the
rest to the purge. A request that dies half-way left nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from atrium import keys
from atrium.errors import Code, Conflict, NotFound
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import Delivery, Page, ShownDelivery, Webhook, moment_of, timestamp
from atrium.store.access import tenant_access
from atrium.store.change import differing
from atrium.store.circuit import expiry, given_up_at, resumed
from atrium.store.deletion import Deletion
from atrium.store.engine.table import Item, Range, Rows
from atrium.store.engine.work import Work
from atrium.store.ledger import Root, count, counted, tell
from atrium.store.rows import delivery_row, to_webhook, webhook_row

# The most webhooks of a tenant, and those of them with one host, so that no stranger's server gets a multiple of what
# happens in a tenant.
MAX_WEBHOOKS = 20
MAX_OF_A_HOST = 3
# The most rows of a tenant's webhooks, with those of deleted ones that are not purged yet: one query reads them all.
_MOST_ROWS = 200

# A webhook is tested at most once in this time.
TESTED_AFTER = timedelta(minutes=1)


class Address(NamedTuple):
    """A URL to deliver to, and its host."""

    url: str
    host: str


class Opened(NamedTuple):
    """A webhook as a request has read it."""

    webhook: Webhook
    root: Root
    row: Item


def endpoints(tenant: str) -> Range:
    """The webhooks of a tenant, the deleted ones too."""
    pk = keys.endpoint(tenant, "").pk
    return Range(*keys.beginning(pk, keys.ENDPOINT), _MOST_ROWS)


def require_admin(work: Work) -> None:
    """Raises Forbidden, unless the caller may manage webhooks and read all events. Holds that it still may."""
    access = tenant_access(work)
    access.require("webhook:manage")
    access.require("event:read")
    access.hold(work)


def open_webhook(work: Work, webhook: str, *also: Key, ranges: Sequence[Range] = ()) -> tuple[Opened, Sequence[Rows]]:
    """Reads a webhook, the items under `also` and the ranges in one round trip. Raises Forbidden, Replay, NotFound."""
    key = keys.endpoint(work.caller.tenant, webhook)
    rows = work.read(key, *also, ranges=ranges)
    require_admin(work)
    work.replay()
    row = work.item(key)
    if row is None:
        raise NotFound("Webhook not found.", Code.WEBHOOK_NOT_FOUND)
    work.not_before(moment_of(row["last_events"][-1]))
    root = Root(key, webhook=webhook, last_events=row["last_events"])
    return Opened(to_webhook(work.caller.tenant, row), root, row), rows


class Webhooks:
    """The webhooks of a tenant, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    # ------------------------------------------------------------ reading

    def list(self, *, limit: int, after: str | None) -> Page[Webhook]:
        """By age. Raises Forbidden."""
        (rows,) = self._work.read(ranges=[endpoints(self._tenant)])
        require_admin(self._work)
        found = [each for each in self._of(rows) if after is None or each.id > after]
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    def get(self, webhook: str) -> Webhook:
        """Raises Forbidden and NotFound."""
        return open_webhook(self._work, webhook)[0].webhook

    # ------------------------------------------------------------ writing

    def create(
        self,
        address: Address,
        *,
        events: Sequence[str],
        spaces: Sequence[str] | None,
        projects: Sequence[str] | None,
        description: str,
        kms_key: str,
    ) -> Webhook:
        """A new webhook, whose secrets are derived with the `kms_key`. Raises Forbidden, VersionRefused, and Conflict
        for one too many.
        """
        (rows,) = self._work.read(keys.endpoint_changes(self._tenant), ranges=[endpoints(self._tenant)])
        require_admin(self._work)
        self._work.replay()
        self._work.match(None)
        if len(rows) >= _MOST_ROWS:
            message = "Too many webhooks were deleted a moment ago. Try again in a minute."
            raise Conflict(message, Code.TOO_MANY_WEBHOOKS)
        self._require_room(address.host, self._of(rows))
        now = self._work.now
        webhook = Webhook(
            id=new_id(),
            tenant=self._tenant,
            url=address.url,
            host=address.host,
            events=tuple(events),
            spaces=None if spaces is None else tuple(spaces),
            projects=None if projects is None else tuple(projects),
            description=description,
            status="active",
            circuit="untried",
            proven=False,
            kms_key=kms_key,
            secret=1,
            previous=None,
            previous_kms_key=None,
            previous_until=None,
            created_at=now,
            updated_at=now,
            version=1,
        )
        root = Root(keys.endpoint(self._tenant, webhook.id), webhook=webhook.id)
        tell(self._work, root, "webhook.created", webhook.resource())
        self._work.put(root.key, webhook_row(webhook) | counted(self._work, root.key))
        return webhook

    def update(self, webhook: str, changes: Mapping[str, Any]) -> Webhook:
        """Changes the `address`, `events`, `spaces`, `projects`, `description`, or the `status`. Raises Forbidden,
        NotFound, VersionRefused, and Conflict for one too many at a host."""
        state = keys.endpoint_state(self._tenant, webhook)
        (found, root, _), (rows,) = open_webhook(
            self._work, webhook, state, keys.endpoint_changes(self._tenant), ranges=[endpoints(self._tenant)]
        )
        self._work.match(found.version)
        address: Address | None = changes.get("address")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in changes.items()
            if name != "address"
        }
        if address is not None:
            given |= {"url": address.url}
        given = differing(found, given)
        if not given:
            self._work.check(root.key, "#version = :seen_version", seen_version=found.version)
            return found
        told = list(given)
        if address is not None and "url" in given:
            if address.host != found.host:
                self._require_room(address.host, [each for each in self._of(rows) if each.id != webhook])
                given["host"] = address.host
            # Another URL has not answered yet.
            given |= {"circuit": "untried", "proven": False}
        elif given.get("status") == "active" and found.circuit == "open":
            given["circuit"] = "draining" if found.proven else "untried"
        changed = replace(found, **given, updated_at=self._work.now, version=found.version + 1)
        tell(self._work, root, "webhook.updated", changed.resource(), [_SHOWN.get(name, name) for name in told])
        stored = webhook_row(changed)
        written: dict[str, Any] = {name: stored.get(name) for name in (*given, "updated_at", "version")}
        count(self._work, root.key, **written)
        self._work.check(root.key, "#version = :seen_version", seen_version=found.version)
        if changed.status == "active" and given.keys() & {"circuit", "status"}:
            # All that has failed is forgotten, and what waits is tried at once.
            resumed(self._work, state, self._work.item(state), webhook)
        return changed

    def rotate(self, webhook: str, overlap: int, kms_key: str) -> Webhook:
        """Another secret, derived with the `kms_key`. The older one is good for so many seconds more. Raises Forbidden,
        NotFound, VersionRefused, and Conflict while an older one is good still, unless there is to be no overlap."""
        (found, root, _), _ = open_webhook(self._work, webhook)
        self._work.match(found.version)
        now = self._work.now
        if overlap and len(found.secrets(now)) > 1:
            message = (
                f"The secret before this one is good until {found.previous_until}. Rotate after that, or with an "
                "overlap of 0 to end both at once."
            )
            raise Conflict(message, Code.ROTATED_ALREADY)
        ends = timestamp(datetime.fromisoformat(now) + timedelta(seconds=overlap))
        changed = replace(
            found,
            secret=found.secret + 1,
            previous=found.secret,
            kms_key=kms_key,
            previous_kms_key=found.kms_key,
            previous_until=ends,
            updated_at=now,
            version=found.version + 1,
        )
        tell(self._work, root, "webhook.rotated", {**changed.resource(), "previous_expires_at": ends}, ["secret"])
        count(
            self._work,
            root.key,
            secret=changed.secret,
            previous=changed.previous,
            kms_key=kms_key,
            previous_kms_key=found.kms_key,
            previous_until=ends,
            updated_at=now,
            version=changed.version,
        )
        self._work.check(root.key, "#version = :seen_version", seen_version=found.version)
        return changed

    def delete(self, webhook: str) -> None:
        """Raises Forbidden, NotFound, VersionRefused."""
        (found, root, _), _ = open_webhook(self._work, webhook)
        self._work.match(found.version)
        deletion = Deletion("webhook", self._tenant, self._work.now, webhook=webhook)
        tell(self._work, root, "webhook.deleted", found.resource())
        count(self._work, root.key, deleted_at=deletion.deleted_at, version=found.version + 1)
        self._work.check(root.key, "#version = :seen_version", seen_version=found.version)
        self._work.put(deletion.queued, deletion.row, when=None)
        # Nothing is due any more, so that nothing is attempted.
        self._work.delete(keys.endpoint_state(self._tenant, webhook), when=None)

    def test(self, webhook: str) -> ShownDelivery:
        """An event that goes to this webhook alone. Raises Forbidden, NotFound, and Conflict for one that is not active
        or was tested in the last minute."""
        (found, root, row), _ = open_webhook(self._work, webhook)
        require_active(found)
        self._work.match(found.version)
        now = self._work.now
        ago = timestamp(datetime.fromisoformat(now) - TESTED_AFTER)
        if row.get("tested_at", "") > ago:
            raise Conflict("The webhook was tested in the last minute. Wait a minute.", Code.WEBHOOK_TESTED_RECENTLY)
        event = tell(self._work, root, "webhook.tested", found.resource())
        count(self._work, root.key, tested_at=now)
        self._work.check(root.key, "attribute_not_exists(#tested_at) OR #tested_at <= :ago", ago=ago)
        delivery = new_delivery(self._tenant, webhook, event, "webhook.tested", now)
        self._work.put(keys.delivery(self._tenant, webhook, event), delivery_row(delivery) | expiry(event))
        return ShownDelivery(delivery, now)

    # ------------------------------------------------------------ the limits

    def _of(self, rows: Sequence[Item]) -> Sequence[Webhook]:
        return [to_webhook(self._tenant, row) for row in rows if "deleted_at" not in row]

    def _require_room(self, host: str, others: Sequence[Webhook]) -> None:
        """Raises Conflict for one too many beside the others. Holds that there are no more of them."""
        if len(others) >= MAX_WEBHOOKS:
            raise Conflict(f"A tenant has at most {MAX_WEBHOOKS} webhooks. Delete one first.", Code.TOO_MANY_WEBHOOKS)
        if sum(each.host == host for each in others) >= MAX_OF_A_HOST:
            message = f"A tenant has at most {MAX_OF_A_HOST} webhooks at one host. Delete one of them first."
            raise Conflict(message, Code.TOO_MANY_WEBHOOKS)
        key = keys.endpoint_changes(self._tenant)
        seen = self._work.item(key)
        if seen is None:
            self._work.update(key, "ADD #changes :one", "attribute_not_exists(#changes)", one=1)
        else:
            self._work.update(key, "ADD #changes :one", "#changes = :seen_changes", one=1, seen_changes=seen["changes"])


# The names of fields in events that differ from the domain's. Of the URL an event has the host alone.
_SHOWN = {"spaces": "space_ids", "projects": "project_ids"}


def require_active(webhook: Webhook) -> None:
    """Raises Conflict for one that gets no deliveries."""
    if webhook.status != "active":
        message = f"The webhook is {webhook.status}. Set its status to active first."
        raise Conflict(message, Code.WEBHOOK_INACTIVE)


def new_delivery(tenant: str, webhook: str, event: str, type: str, now: str) -> Delivery:
    """A delivery that was not attempted yet."""
    return Delivery(tenant, webhook, event, type, "pending", 0, now, given_up_at(now))
