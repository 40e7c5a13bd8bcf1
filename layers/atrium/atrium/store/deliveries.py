"""The deliveries of a webhook, and its recoveries, as the tenant's admins see them and ask for more.

A request only writes what is to be done, with an event of the webhook. The fan-out sees that event as any other, and
does it; a delivery that is to be made again has a row of what is due, too, which the sweep finds.

What two of them racing may leave. A delivery is sent again on condition of the number of its attempts and the state in
which it was read, so of two requests the second decides again and finds it pending. Of two recoveries of one webhook
the second finds that the first one runs, which the webhook's state says. A request that dies half-way left nothing.
"""

from datetime import datetime

from atrium import keys
from atrium.errors import Code, Conflict, NotFound, Unfit
from atrium.ids import lowest_number, new_id
from atrium.models import DeliveryStatus, Page, Recovery, ShownDelivery, timestamp
from atrium.store.circuit import State, due_row, expiry, given_up_at
from atrium.store.engine.table import Range
from atrium.store.engine.work import Work
from atrium.store.ledger import count, tell
from atrium.store.rows import recovery_row, to_delivery, to_recovery
from atrium.store.webhooks import open_webhook, require_active

# The most rows that a page reads to find those of a status.
MOST_EXAMINED = 1_000


class Deliveries:
    """The deliveries of a tenant's webhooks, as the caller of one request may see them and ask for more."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant

    def list(
        self, webhook: str, *, status: DeliveryStatus | None, since: str | None, limit: int, after: str | None
    ) -> Page[ShownDelivery]:
        """The latest event first; of events since a moment. With a status a page may be short or empty, and yet not
        the last. Raises Forbidden and NotFound."""
        pk = keys.endpoint_state(self._tenant, webhook).pk
        low = f"{max(0, lowest_number(_milliseconds(since))):024x}" if since else ""
        last = keys.DELIVERY + (after or keys.beginning(pk, keys.DELIVERY).last.removeprefix(keys.DELIVERY))
        first = keys.DELIVERY + low
        if first > last:
            open_webhook(self._work, webhook)
            return Page((), None)
        most = MOST_EXAMINED if status else limit
        # From behind the last one that was shown, which is before its own key here.
        wanted = Range(pk, first, last, most + (1 if after else 0), descending=True)
        _, (rows,) = open_webhook(self._work, webhook, ranges=[wanted])
        now = self._work.now
        found = [to_delivery(self._tenant, webhook, row) for row in rows if row["sk"] != keys.DELIVERY + (after or "")]
        fitting = [each for each in found if status is None or each.status(now) == status]
        shown = tuple(ShownDelivery(each, now) for each in fitting[:limit])
        if len(fitting) > limit:
            return Page(shown, shown[-1].id)
        return Page(shown, found[-1].event if rows.more and found else None)

    def get(self, webhook: str, event: str) -> ShownDelivery:
        """Raises Forbidden and NotFound."""
        key = keys.delivery(self._tenant, webhook, event)
        open_webhook(self._work, webhook, key)
        row = self._work.item(key)
        if row is None:
            raise NotFound("Delivery not found.", Code.DELIVERY_NOT_FOUND)
        return ShownDelivery(to_delivery(self._tenant, webhook, row), self._work.now)

    def redeliver(self, webhook: str, event: str) -> ShownDelivery:
        """Delivers an event once more, under its id. A delivery that is pending is left as it is, but for the moment of
        its next attempt. Raises Forbidden, NotFound, VersionRefused, and Conflict for a webhook that is not active.
        """
        key = keys.delivery(self._tenant, webhook, event)
        (found, root, _), _ = open_webhook(self._work, webhook, key)
        row = self._work.item(key)
        if row is None:
            raise NotFound("Delivery not found.", Code.DELIVERY_NOT_FOUND)
        require_active(found)
        now, seen = self._work.now, to_delivery(self._tenant, webhook, row)
        self._work.match(seen.tag(now))
        again = seen._replace(state="pending", until=given_up_at(now), next_attempt_at=now)
        tell(self._work, root, "webhook.redelivered", {**found.resource(), "event_id": seen.resource(now)["event_id"]})
        count(self._work, root.key)
        self._work.update(
            key,
            "SET #state = :pending, #until = :until, #next_attempt_at = :now",
            "#attempts = :seen_attempts AND #state = :seen_state",
            pending="pending",
            until=again.until,
            now=now,
            seen_attempts=seen.attempts,
            seen_state=seen.state,
        )
        self._work.put(keys.due(now, self._tenant, webhook, event), due_row(self._tenant, seen.attempts), when=None)
        return ShownDelivery(again, now)

    def recover(self, webhook: str, since: str, until: str | None) -> Recovery:
        """Delivers what matches the webhook now, happened from `since` on and before `until` (now), and was not
        delivered. Raises Forbidden, NotFound, Invalid for a span without a moment, and Conflict for a webhook that is
        not active, or while it has another recovery."""
        state = keys.endpoint_state(self._tenant, webhook)
        (found, root, _), _ = open_webhook(self._work, webhook, state)
        require_active(found)
        now = self._work.now
        since, ends = _exact(since), min(_exact(until or now), now)
        if since >= ends:
            raise Unfit("since", "span", "Must be before `until`, and before now")
        row = self._work.item(state)
        if State.of(row).job is not None:
            raise Conflict("A recovery of this webhook is running. Wait for its end.", Code.RECOVERY_RUNNING)
        self._work.match(found.version)
        job = Recovery(new_id(), self._tenant, webhook, since, ends, "running", None, 0, 0, now)
        told = {**found.resource(), "recovery_id": job.resource()["id"], "since": since, "until": ends}
        tell(self._work, root, "webhook.recovered", told)
        count(self._work, root.key)
        self._work.put(keys.recovery(self._tenant, webhook, job.id), recovery_row(job) | expiry(job.id))
        self._work.update(state, "SET #job = :job", "attribute_not_exists(#job)", job=job.id)
        return job

    def recovery(self, webhook: str, recovery: str) -> Recovery:
        """Raises Forbidden and NotFound."""
        key = keys.recovery(self._tenant, webhook, recovery)
        open_webhook(self._work, webhook, key)
        row = self._work.item(key)
        if row is None:
            raise NotFound("Recovery not found.", Code.RECOVERY_NOT_FOUND)
        return to_recovery(self._tenant, webhook, row)


def _exact(moment: str) -> str:
    return timestamp(datetime.fromisoformat(moment))


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
