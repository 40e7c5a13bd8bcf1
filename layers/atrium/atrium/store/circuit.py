"""How deliveries get to a webhook, and where its failures lead: the rows below a webhook and those of what is due.

A delivery is `pending` from its first row on and ends as delivered, or at the moment it is given up. It is in one of
three places. In the queue of deliveries, with no row but its own, when it was just sent. Due at a moment, with a row
that the sweep finds, when an attempt has failed. Or it waits in the webhook's own row of deliveries (OPEN), the oldest
first, while the webhook has never answered, fails, or works off what has waited: then the webhook as a whole is due.

What two of them racing, or one dying half-way, may leave. Queues bring a message at least once, so an attempt is noted
on condition of its number: of two that made the same attempt, the second changes nothing, and the receiver has seen one
id twice. One that dies after the attempt and before the note leaves the delivery where it was. A row of what is due
that belongs to nothing is removed by the delivery that the sweep sends for it. A delivery that begins to wait looks
whether the webhook is due, after it wrote its row; who finds nothing waiting ends that the webhook is due before it
looks again: so one of the two sees the other, and none waits for ever.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from atrium import keys
from atrium.ids import milliseconds_of
from atrium.keys import Key
from atrium.models import OPERATOR, Caller, Delivery, Webhook, timestamp
from atrium.settings import settings
from atrium.store.engine.scope import scope
from atrium.store.engine.table import ConditionFailed, Item, Range, Table, Write
from atrium.store.engine.wire import expressions, wire_item, wire_key
from atrium.store.engine.work import Outcome, Work
from atrium.store.ledger import Root, count, tell
from atrium.store.rows import delivery_row, to_delivery, to_webhook

_HOUR = 3_600.0

# Seconds before each attempt, since the one before: the schedule that Standard Webhooks recommends, 75.6 hours in all.
SCHEDULE = (0.0, 5.0, 300.0, 1_800.0, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
GIVEN_UP_AFTER = timedelta(hours=76)

# Seconds before each attempt with one delivery alone, while a webhook fails; then the last one again and again.
PROBES = (5.0, 60.0, 300.0, 900.0)

# So many failures in a row, or time-outs, and the webhook gets one delivery at a time.
FAILURES = 5
TIMEOUTS = 3

# A webhook that never answered gets no more than one attempt in this time.
UNTRIED = 60.0

# For so long a receiver may ask to be left in peace.
MAX_RETRY_AFTER = 24 * _HOUR

# A webhook that fails for so long is disabled.
DISABLED_AFTER = timedelta(days=5)

# Days for which a delivery is kept at least.
_MIN_DAYS = 7

# While what waits is worked off, the webhook is due again after so many seconds, should the function die.
LEASE = 60.0

_chance = random.SystemRandom()

Why = Literal["gone", "failing"]


class Sent(NamedTuple):
    """How an attempt ended: the status of the answer, or a word for why there was none; and the seconds for which the
    receiver asked to be left in peace."""

    status: int | None
    error: str | None = None
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        return self.status == 410

    @property
    def is_timeout(self) -> bool:
        return self.error == "timed_out"


class State(NamedTuple):
    """The outcome of the attempts so far: failures and time-outs in a row, since when it fails, how many probes
    it has had since, when it is due as a whole, and its recovery that runs."""

    failures: int = 0
    timeouts: int = 0
    failing_since: str | None = None
    probes: int = 0
    due_at: str | None = None
    job: str | None = None

    @classmethod
    def of(cls, row: Item | None) -> "State":
        return cls(**{name: row[name] for name in cls._fields if name in row}) if row else cls()


def given_up_at(now: str) -> str:
    """When a delivery of this moment is given up."""
    return later(now, GIVEN_UP_AFTER.total_seconds())


def later(now: str, seconds: float) -> str:
    return timestamp(datetime.fromisoformat(now) + timedelta(seconds=seconds))


def expiry(event: str) -> Item:
    """When the table may remove the rows of a delivery: with its event, and no sooner than after a week."""
    days = settings().event_days
    return {"ttl": milliseconds_of(event) // 1000 + max(days, _MIN_DAYS) * 86_400} if days else {}


def due_row(tenant: str, attempt: int | None = None) -> Item:
    """The row of a delivery's attempt that is due, by the attempt's number, or of a webhook that is due as a whole. The
    check of the table finds it by its tenant."""
    return {"tenant": tenant} | ({} if attempt is None else {"attempt": attempt})


def resumed(work: Work, key: Key, row: Item | None, webhook: str) -> None:
    """In a request: what waits for a webhook is due now, and what has failed is forgotten. `row` is its state. The
    sweep removes the row of when it was due before."""
    job = State.of(row).job
    tenant = work.caller.tenant
    work.put(keys.due(work.now, tenant, webhook), due_row(tenant), when=None)
    work.put(key, {"due_at": work.now} | ({"job": job} if job else {}), when=None)


class Line:
    """The line of deliveries of one webhook. Each method has the time of a request. Raises Unavailable."""

    def __init__(self, table: Table, tenant: str, webhook: str) -> None:
        self._table = table
        self.tenant = tenant
        self.webhook = webhook
        self._state_key = keys.endpoint_state(tenant, webhook)
        self._root_key = keys.endpoint(tenant, webhook)

    # ------------------------------------------------------------ reading

    def read(self, event: str | None = None) -> tuple[Webhook | None, State, Delivery | None, Item | None]:
        """The webhook, None for a deleted one; its state; and of an event its delivery and its row of the ledger."""
        named = [keys.delivery(self.tenant, self.webhook, event), keys.event(self.tenant, event)] if event else []
        with self._scope():
            found = self._table.get_all([self._root_key, self._state_key, *named])
        row, state = found.get(self._root_key), State.of(found.get(self._state_key))
        webhook = to_webhook(self.tenant, row) if row and "deleted_at" not in row else None
        if event is None:
            return webhook, state, None, None
        kept, told = (found.get(key) for key in named)
        return webhook, state, to_delivery(self.tenant, self.webhook, kept) if kept else None, told

    def waiting(self, limit: int) -> Sequence[str]:
        """The events that wait, the oldest first."""
        pk = self._state_key.pk
        with self._scope():
            rows = self._table.query(Range(*keys.beginning(pk, keys.OPEN), limit, only=("sk",)))
        return [row["sk"].removeprefix(keys.OPEN) for row in rows]

    # ------------------------------------------------------------ a delivery begins

    def begin(self, delivery: Delivery, *, waits: bool) -> bool:
        """Writes a delivery, unless it is there, and has it wait. Whether it is still to be attempted first."""
        key = keys.delivery(self.tenant, self.webhook, delivery.event)
        row = delivery_row(delivery) | expiry(delivery.event)
        put = _put(key, row, "attribute_not_exists(#pk)")
        with self._scope():
            try:
                self._table.transact([put, self._wait(delivery)] if waits else [put], str(uuid4()))
            except ConditionFailed:
                found = self._table.get(key)
                kept = to_delivery(self.tenant, self.webhook, found) if found else None
                is_new = kept is not None and (kept.state, kept.attempts) == ("pending", 0)
                if is_new and waits:
                    self._table.transact([self._wait(delivery)], str(uuid4()))
                return is_new
        return True

    def begin_again(self, delivery: Delivery, seen: Delivery | None) -> bool:
        """Has an event wait that was not delivered. `seen` is the delivery that there was. False if that has changed
        since."""
        key = keys.delivery(self.tenant, self.webhook, delivery.event)
        when, values = "attribute_not_exists(#pk)", dict[str, Any]()
        if seen is not None:
            when, values = (
                "#attempts = :seen AND #state <> :delivered",
                {"seen": seen.attempts, "delivered": "delivered"},
            )
        put = _put(key, delivery_row(delivery) | expiry(delivery.event), when, **values)
        with self._scope():
            try:
                self._table.transact([put, self._wait(delivery)], str(uuid4()))
            except ConditionFailed:
                return False
        return True

    def wait(self, delivery: Delivery) -> bool:
        """Has a delivery wait that was sent, or was due. False if it is not what it was."""
        return self._note(delivery, {}, [self._wait(delivery)], attempts=delivery.attempts)

    def _wait(self, delivery: Delivery) -> Write:
        ttl = {"ttl": int(datetime.fromisoformat(delivery.until).timestamp()) + 86_400}
        return _put(keys.open_delivery(self.tenant, self.webhook, delivery.event), ttl)

    # ------------------------------------------------------------ an attempt has ended

    def note_success(self, delivery: Delivery, sent: Sent, *, waited: bool) -> bool:
        """The delivery has arrived. False if it is not what it was."""
        more = [_delete(keys.open_delivery(self.tenant, self.webhook, delivery.event))] if waited else []
        return self._note(delivery, {"state": "delivered", "last_status": sent.status}, more)

    def note_failure(self, delivery: Delivery, sent: Sent, now: str, *, waited: bool, opened: bool) -> str | None:
        """The attempt has failed. The delivery waits if the circuit is open, and is else due when its schedule says so,
        at the moment that is returned. None where it waits, or was the last attempt."""
        told = {"last_status": sent.status, "last_error": sent.error or "refused"}
        attempts = delivery.attempts + 1
        open_key = keys.open_delivery(self.tenant, self.webhook, delivery.event)
        if opened:
            self._note(delivery, told, [self._wait(delivery)])
            return None
        gone = [_delete(open_key)] if waited else []
        at = later(now, until_attempt(attempts, sent)) if attempts < len(SCHEDULE) else None
        if at is None or at >= delivery.until:
            self._note(delivery, {**told, "state": "failed"}, gone)
            return None
        due = _put(keys.due(at, self.tenant, self.webhook, delivery.event), due_row(self.tenant, attempts))
        self._note(delivery, {**told, "next_attempt_at": at}, [due, *gone])
        return at

    def give_up(self, delivery: Delivery, error: str | None) -> None:
        """No more attempts are made."""
        told = {"state": "failed"} | ({"last_error": error} if error else {})
        gone = _delete(keys.open_delivery(self.tenant, self.webhook, delivery.event))
        self._note(delivery, told, [gone], attempts=delivery.attempts)

    def _note(self, delivery: Delivery, told: Item, more: Sequence[Write], attempts: int | None = None) -> bool:
        """Writes what an attempt came to, on condition that the delivery is what it was. Whether it was."""
        key = keys.delivery(self.tenant, self.webhook, delivery.event)
        values = {**told, "attempts": delivery.attempts + 1 if attempts is None else attempts}
        sets = ", ".join(f"#{name} = :{name}" for name in values if values[name] is not None)
        gone = [name for name in ("next_attempt_at", "last_status", "last_error") if values.get(name) is None]
        if "last_status" not in told and "last_error" not in told:
            gone = ["next_attempt_at"] if "next_attempt_at" not in told else []
        removes = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        when = "#attempts = :seen AND #state = :pending"
        given = {name: value for name, value in values.items() if value is not None}
        given |= {"seen": delivery.attempts, "pending": "pending"}
        old = delivery.next_attempt_at
        writes = [*more, *([_delete(keys.due(old, self.tenant, self.webhook, delivery.event))] if old else [])]
        with self._scope():
            try:
                if writes:
                    update = _update(key, f"SET {sets}{removes}", when, given)
                    self._table.transact([update, *writes], str(uuid4()))
                else:
                    self._table.update(key, f"SET {sets}{removes}", when, given)
            except ConditionFailed:
                return False
        return True

    def drop_due(self, at: str, event: str | None = None) -> None:
        """Removes a row of what is due."""
        with self._scope():
            self._table.delete_all([keys.due(at, self.tenant, self.webhook, event)])

    def drop_waiting(self, events: Sequence[str]) -> None:
        with self._scope():
            self._table.delete_all([keys.open_delivery(self.tenant, self.webhook, event) for event in events])

    # ------------------------------------------------------------ the circuit

    def count_success(self, webhook: Webhook, state: State) -> None:
        """An attempt has succeeded: the webhook is proven, and does not fail any more."""
        with self._scope():
            if state.failures or state.timeouts or state.failing_since or state.probes:
                self._table.update(self._state_key, "REMOVE #failures, #timeouts, #failing_since, #probes", None, {})
            if webhook.circuit in ("untried", "open") or not webhook.proven:
                self._turn(("untried", "open", "closed", "draining"), webhook, "draining", proven=True)

    def count_failure(self, sent: Sent, now: str) -> State:
        """An attempt has failed. The state with it."""
        counted = "#timeouts :one" if sent.is_timeout else ""
        reset = "" if sent.is_timeout else ", #timeouts = :none"
        expression = f"SET #failing_since = if_not_exists(#failing_since, :now){reset} ADD #failures :one" + (
            f", {counted}" if counted else ""
        )
        values: Item = {"now": now, "one": 1} | ({} if sent.is_timeout else {"none": 0})
        with self._scope():
            return State.of(self._table.update(self._state_key, expression, None, values))

    def open(self, webhook: Webhook) -> None:
        """From now on the webhook gets one delivery at a time, until one arrives."""
        with self._scope():
            self._turn(("closed", "draining", "untried"), webhook, "open")

    def drain(self, webhook: Webhook) -> None:
        """New deliveries wait behind those that wait already."""
        with self._scope():
            self._turn(("closed",), webhook, "draining")

    def close(self, webhook: Webhook) -> None:
        """Nothing waits any more: from now on a delivery is sent at once."""
        with self._scope():
            self._turn(("draining",), webhook, "closed")

    def _turn(self, before: Sequence[str], webhook: Webhook, circuit: str, **more: bool) -> None:
        """Writes the circuit, unless it is not as expected by now, or the webhook has another URL."""
        cases = " OR ".join(f"#circuit = :from{place}" for place in range(len(before)))
        values: Item = {f"from{place}": each for place, each in enumerate(before)}
        sets = ", ".join(["#circuit = :circuit", *(f"#{name} = :{name}" for name in more)])
        try:
            self._table.update(
                self._root_key,
                f"SET {sets}",
                f"attribute_not_exists(#deleted_at) AND #url = :url AND ({cases})",
                {**values, "circuit": circuit, "url": webhook.url, **more},
            )
        except ConditionFailed:
            return

    def disable(self, why: Why, request: str) -> bool:
        """Ends deliveries to the webhook, with an event of its own. Whether it was active until now."""
        work = Work(self._table, Caller(self.tenant, "0" * 24, OPERATOR), request=request)

        def decide() -> Outcome:
            work.read(self._root_key, self._state_key)
            row, state = work.item(self._root_key), State.of(work.item(self._state_key))
            webhook = to_webhook(self.tenant, row) if row else None
            if row is None or webhook is None or webhook.status != "active":
                return Outcome({"disabled": False}, confirms=True)
            root = Root(self._root_key, webhook=self.webhook, last_events=row["last_events"])
            told = webhook.resource() | {"status": "disabled", "updated_at": work.now, "reason": why}
            tell(work, root, "webhook.disabled", told, ["status"])
            count(work, root.key, status="disabled", circuit="open", updated_at=work.now, version=webhook.version + 1)
            work.check(root.key, "#version = :seen_version", seen_version=webhook.version)
            if state.due_at is not None:
                work.update(self._state_key, "REMOVE #due_at", "#due_at = :seen_due", seen_due=state.due_at)
                work.delete(keys.due(state.due_at, self.tenant, self.webhook), when=None)
            return Outcome({"disabled": True}, confirms=True)

        with self._scope():
            return bool(work.run(decide).answer["disabled"])

    # ------------------------------------------------------------ when the webhook is due as a whole

    def become_due(self, at: str) -> bool:
        """The webhook is due at this moment, unless it is at another one. Whether it was not."""
        with self._scope():
            found = State.of(self._table.get(self._state_key))
            if found.due_at is not None:
                return False
            try:
                self._table.transact(
                    [
                        _update(self._state_key, "SET #due_at = :at", "attribute_not_exists(#due_at)", {"at": at}),
                        _put(keys.due(at, self.tenant, self.webhook), due_row(self.tenant)),
                    ],
                    str(uuid4()),
                )
            except ConditionFailed:
                return False
        return True

    def be_due(self, seen: str, at: str | None, probes: int | None = None) -> bool:
        """The webhook, which is due at the moment `seen`, is due at another one, or at none. Whether it was still
        so."""
        sets = [] if at is None else ["#due_at = :at"]
        values: Item = {"seen": seen} | ({} if at is None else {"at": at})
        if probes is not None:
            sets.append("#probes = :probes")
            values["probes"] = probes
        expression = (f"SET {', '.join(sets)} " if sets else "") + ("REMOVE #due_at" if at is None else "")
        writes = [_update(self._state_key, expression.strip(), "#due_at = :seen", values)]
        if at != seen:
            writes.append(_delete(keys.due(seen, self.tenant, self.webhook)))
            if at is not None:
                writes.append(_put(keys.due(at, self.tenant, self.webhook), due_row(self.tenant)))
        with self._scope():
            try:
                self._table.transact(writes, str(uuid4()))
            except ConditionFailed:
                return False
        return True

    def _scope(self) -> Any:
        return scope(self.tenant, due=True)


def until_attempt(attempts: int, sent: Sent) -> float:
    """Seconds until the next attempt after so many: by the schedule, up to a fifth sooner, so that what failed together
    does not come again together; and no sooner than the receiver asked for."""
    return max(SCHEDULE[attempts] * _chance.uniform(0.8, 1.0), _asked_for(sent))


def until_probe(probes: int, webhook: Webhook, sent: Sent) -> float:
    """Seconds until the next probe after so many, a little later than by the schedule; and no sooner than the receiver
    asked for, or than a webhook that never answered is tried again."""
    seconds = PROBES[min(probes, len(PROBES) - 1)] * _chance.uniform(1.0, 1.05)
    return max(seconds, _asked_for(sent), 0.0 if webhook.proven else UNTRIED)


def _asked_for(sent: Sent) -> float:
    return min(sent.retry_after or 0.0, MAX_RETRY_AFTER)


def is_open_after(webhook: Webhook, state: State) -> bool:
    """Whether a webhook with this state gets one delivery at a time."""
    return webhook.circuit in ("untried", "open") or state.failures >= FAILURES or state.timeouts >= TIMEOUTS


def fails_for_long(state: State, now: str) -> bool:
    return state.failing_since is not None and later(state.failing_since, DISABLED_AFTER.total_seconds()) <= now


def due_now(table: Table, now: str, most: int) -> tuple[Sequence[Item], float]:
    """The rows of what is due, up to so many of each partition, the oldest first; and by how many seconds the oldest
    is overdue. Raises Unavailable."""
    with scope(None, due=True):
        calls = [partial(table.query, Range(*span, most)) for span in keys.due_until(now)]
        found = [row for rows in table.together(calls) for row in rows]
    oldest = min((row["sk"].partition("#")[0] for row in found), default=now)
    return found, (datetime.fromisoformat(now) - datetime.fromisoformat(oldest)).total_seconds()


def _put(key: Key, item: Item, when: str | None = None, **values: Any) -> Write:
    wired = {"Item": wire_item({"pk": key.pk, "sk": key.sk, **item})}
    return Write("Put", {**wired, **expressions(values, ConditionExpression=when)})


def _update(key: Key, expression: str, when: str, values: Item) -> Write:
    request = expressions(values, UpdateExpression=expression, ConditionExpression=when)
    return Write("Update", {"Key": wire_key(key), **request})


def _delete(key: Key) -> Write:
    return Write("Delete", {"Key": wire_key(key)})
