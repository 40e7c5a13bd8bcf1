"""The functions behind webhooks: the fan-out of events, the deliveries, and the sweep of what is due.

Each is invoked with what may come twice, and leaves what it has not done to be brought again. Their lines in the log
name a webhook by its host: a URL may hold a token.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any

from atrium import documents, outbound, signatures
from atrium.automation.invocation import Handler
from atrium.cold_start import warm
from atrium.ids import from_uuid, to_uuid
from atrium.models import Delivery, Webhook, timestamp
from atrium.settings import settings
from atrium.store.circuit import (
    LEASE,
    Line,
    Sent,
    State,
    due_now,
    fails_for_long,
    is_open_after,
    later,
    until_probe,
)
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, connect, table
from atrium.store.recoveries import TESTED, Recoverer
from atrium.store.rows import to_event, to_webhook
from atrium.store.webhook_queues import LANES, MAX_DELAY, Due, webhook_queues
from atrium.store.webhooks import endpoints, new_delivery
from atrium.telemetry import counted, say, what_failed

# The most rows of each partition that one sweep sends.
MOST_SWEPT = 1_000

# Seconds of a function's time that are kept: for an attempt and its note, and for the note of a recovery.
_SPARE_FOR_AN_ATTEMPT = 20.0
_SPARE_FOR_A_NOTE = 10.0

# Seconds that an attempt takes at least: with so many lanes a webhook gets fifty a second at most.
_PACE = LANES / 50

# The error of a delivery whose event is not kept any more.
GONE = "event_gone"

# How many deliveries that wait are looked at in one go.
_PAGE = 100

# A retry within this many seconds is brought by a message; a later one is brought by the sweep in time.
_SOON = MAX_DELAY


def _connected() -> None:
    connect()
    webhook_queues()


def _now() -> str:
    return timestamp(datetime.now(UTC))


# ---------------------------------------------------------------- fan-out


def fanning_out_handler() -> Handler:
    """The handler. Takes events of the bus, deliveries that are due after a delay, and recoveries that are to go on;
    reports the messages that it has not done."""
    warm(_connected)

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        until = _deadline(context, _SPARE_FOR_A_NOTE)
        return _each(batch, partial(_fan_out, until=until))

    return handler


def _fan_out(message: Mapping[str, Any], until: Callable[[], bool]) -> None:
    match message:
        case {"due": due}:
            webhook_queues().send([Due.of(due)])
        case {"recover": {"tenant": tenant, "webhook": webhook, "recovery": recovery}}:
            _recover(tenant, webhook, recovery, until)
        case {"detail": event}:
            _fan_out_event(event)
            _do(event, until)


def _fan_out_event(event: Mapping[str, Any]) -> None:
    """Begins a delivery to each webhook that wants the event."""
    tenant, id, type = from_uuid(event["tenant_id"]), from_uuid(event["id"]), event["type"]
    with scope(tenant):
        rows = table().query(endpoints(tenant))
    found = [to_webhook(tenant, row) for row in rows if "deleted_at" not in row]
    space, project = (from_uuid(event[name]) if name in event else None for name in ("space_id", "project_id"))
    tested = from_uuid(event["webhook_id"]) if type == TESTED else None
    now, sent = _now(), list[Due]()
    for webhook in found:
        wanted = webhook.id == tested if tested else webhook.wants(type, space, project)
        if not wanted or webhook.status != "active":
            continue
        line = Line(table(), tenant, webhook.id)
        waits = webhook.circuit != "closed"
        if line.begin(new_delivery(tenant, webhook.id, id, type, now), waits=waits):
            sent += _made_due(line, now) if waits else [Due(tenant, webhook.id, id)]
    webhook_queues().send(sent)


def _made_due(line: Line, now: str) -> Sequence[Due]:
    """Sees to it that what waits is worked off: the message for it, if none is under way."""
    return [Due(line.tenant, line.webhook, at=now)] if line.become_due(now) else []


def _do(event: Mapping[str, Any], until: Callable[[], bool]) -> None:
    """Does what a request has asked for by an event of a webhook."""
    type, asked = event["type"], event["resource"]
    if type not in ("webhook.updated", "webhook.redelivered", "webhook.recovered") or asked is None:
        return
    tenant, webhook = from_uuid(event["tenant_id"]), from_uuid(event["webhook_id"])
    line = Line(table(), tenant, webhook)
    if type == "webhook.updated":
        _resume(line)
    elif type == "webhook.recovered":
        _recover(tenant, webhook, from_uuid(asked["recovery_id"]), until)
    else:
        id = from_uuid(asked["event_id"])
        _, _, delivery, _ = line.read(id)
        if delivery is not None and delivery.state == "pending":
            webhook_queues().send([Due(tenant, webhook, id, delivery.attempts, delivery.next_attempt_at)])


def _resume(line: Line) -> None:
    """Brings what waits for a webhook that was made active again. To one that has never answered only the sweep brings
    it, once a minute, however often its URL is changed."""
    webhook, state, _, _ = line.read()
    if webhook is not None and webhook.circuit != "untried" and state.due_at is not None and state.due_at <= _now():
        webhook_queues().send([Due(line.tenant, line.webhook, at=state.due_at)])


def _recover(tenant: str, webhook: str, recovery: str, until: Callable[[], bool]) -> None:
    line = Line(table(), tenant, webhook)

    def begun() -> None:
        webhook_queues().send(_made_due(line, _now()))

    if not Recoverer(table(), tenant, webhook, recovery).run(until, begun):
        webhook_queues().recover(tenant, webhook, recovery)


# ---------------------------------------------------------------- deliveries


def delivering_handler() -> Handler:
    """The handler. Takes deliveries that are to be attempted, and webhooks that are due as a whole; reports the
    messages that it has not done."""
    warm(_connected)

    def handler(batch: Mapping[str, Any], context: Any) -> dict[str, Any]:
        request = context.aws_request_id
        until = _deadline(context, _SPARE_FOR_AN_ATTEMPT)
        return _each(batch, lambda message: _deliver(Due.of(message), request, until))

    return handler


def _deliver(due: Due, request: str, until: Callable[[], bool]) -> None:
    line = Line(table(), due.tenant, due.webhook)
    if due.event is None:
        _work_off(line, due, request, until)
        return
    webhook, state, delivery, row = line.read(due.event)
    if webhook is None or delivery is None or (delivery.state, delivery.attempts) != ("pending", due.attempt):
        if due.at is not None:
            line.drop_due(due.at, due.event)
        if webhook and webhook.status == "active" and delivery and delivery.state == "pending":
            # The function that had it wait may have died before it looked whether the webhook is due.
            _see_that_it_is_due(line, delivery)
        return
    now = _now()
    if delivery.status(now) == "failed":
        line.give_up(delivery, None)
    elif webhook.status != "active" or webhook.circuit in ("untried", "open"):
        line.wait(delivery)
        if webhook.status == "active":
            webhook_queues().send(_made_due(line, now))
    else:
        _attempt(line, webhook, state, delivery, row, request, waited=False)


def _see_that_it_is_due(line: Line, delivery: Delivery) -> None:
    if delivery.next_attempt_at is None:
        webhook_queues().send(_made_due(line, _now()))


def _attempt(
    line: Line, webhook: Webhook, state: State, delivery: Delivery, row: Item | None, request: str, *, waited: bool
) -> tuple[Sent, State]:
    """Makes an attempt and writes down what it came to: how it ended, and the webhook's state with it."""
    if row is None:
        line.give_up(delivery, GONE)
        return Sent(None, GONE), state
    sent = _sent(webhook, delivery.event, documents.render(to_event(line.tenant, row).detail()).encode())
    now = _now()
    if sent.is_success:
        line.note_success(delivery, sent, waited=waited)
        line.count_success(webhook, state)
        _say(webhook, delivery, sent, None)
        return sent, State(job=state.job, due_at=state.due_at)
    state = line.count_failure(sent, now)
    opened = is_open_after(webhook, state) or sent.is_gone
    at = line.note_failure(delivery, sent, now, waited=waited, opened=opened)
    _say(webhook, delivery, sent, at)
    if sent.is_gone or fails_for_long(state, now):
        if line.disable("gone" if sent.is_gone else "failing", request):
            counted(
                "Webhook disabled",
                {"WebhooksDisabled": 1},
                "WARN",
                tenant=line.tenant,
                webhook=webhook.id,
                host=webhook.host,
            )
    elif opened and webhook.circuit != "open":
        line.open(webhook)
        if not waited:
            first = later(now, until_probe(0, webhook, sent))
            if line.become_due(first):
                _send_soon(Due(line.tenant, line.webhook, at=first), now)
    elif at is not None:
        _send_soon(Due(line.tenant, line.webhook, delivery.event, delivery.attempts + 1, at), now)
    return sent, state


def _send_soon(due: Due, now: str) -> None:
    """Has a message bring what is due, where that is quicker than the sweep."""
    seconds = (datetime.fromisoformat(str(due.at)) - datetime.fromisoformat(now)).total_seconds()
    if seconds <= 0:
        webhook_queues().send([due])
    elif seconds <= (_SOON if due.event else LEASE):
        webhook_queues().send_later(due, seconds)


def _sent(webhook: Webhook, event: str, body: bytes) -> Sent:
    """Sends an event to a webhook, signed at this moment with each secret that is good."""
    began = time.monotonic()
    good = webhook.secrets(_now())
    secrets = [signatures.secret(key, webhook.tenant, webhook.id, number) for key, number in good]
    headers = signatures.headers(to_uuid(event), int(datetime.now(UTC).timestamp()), body, secrets)
    loopback = settings().loopback
    try:
        answer = outbound.post(outbound.parsed(webhook.url, loopback=loopback), headers, body, loopback=loopback)
        sent = Sent(answer.status, None, answer.retry_after)
    except outbound.UnfitUrl:
        sent = Sent(None, "address_refused")
    except outbound.NotSent as error:
        sent = Sent(None, error.reason)
    time.sleep(max(0.0, _PACE - (time.monotonic() - began)))
    return sent


def _say(webhook: Webhook, delivery: Delivery, sent: Sent, at: str | None) -> None:
    message, metric = ("Delivered", "Deliveries") if sent.is_success else ("Not delivered", "DeliveryFailures")
    counted(
        message,
        {metric: 1},
        tenant=webhook.tenant,
        webhook=webhook.id,
        host=webhook.host,
        event=delivery.event,
        type=delivery.type,
        attempt=delivery.attempts + 1,
        status=sent.status,
        error=sent.error,
        next=at,
    )


# ---------------------------------------------------------------- what waits


def _work_off(line: Line, due: Due, request: str, until: Callable[[], bool]) -> None:
    """Delivers what waits for a webhook that is due as a whole: the oldest alone, as long as the webhook fails."""
    webhook, state, _, _ = line.read()
    at = str(due.at)
    if webhook is None or state.due_at != at:
        line.drop_due(at)
        return
    if webhook.status != "active":
        line.be_due(at, None)
        return
    lease = later(_now(), LEASE)
    if not line.be_due(at, lease):
        return
    if webhook.circuit in ("untried", "open") and not _probe(line, webhook, state, lease, request):
        return
    while waiting := line.waiting(_PAGE):
        if until() or not _attempt_all(line, waiting, request, until):
            _go_on_later(line, lease)
            return
    line.close(webhook)
    _end(line, lease)


def _probe(line: Line, webhook: Webhook, state: State, lease: str, request: str) -> bool:
    """Attempts the oldest delivery alone; whether it has arrived."""
    found = _oldest(line)
    if found is None:
        _end(line, lease)
        return False
    sent, _ = _attempt(line, webhook, state, *found, request, waited=True)
    if sent.is_success:
        return True
    probes = state.probes + 1 if webhook.circuit == "open" else 0
    now = _now()
    next = now if sent.error == GONE else later(now, until_probe(probes, webhook, sent))
    if line.be_due(lease, next, probes):
        _send_soon(Due(line.tenant, line.webhook, at=next), now)
    return False


def _go_on_later(line: Line, lease: str) -> None:
    """The time is over, or the webhook has failed while it was worked off."""
    webhook, state, _, _ = line.read()
    if webhook is None or webhook.status != "active" or state.due_at != lease:
        return
    now = _now()
    next = later(now, until_probe(0, webhook, Sent(None))) if webhook.circuit == "open" else now
    if line.be_due(lease, next, 0):
        _send_soon(Due(line.tenant, line.webhook, at=next), now)


def _oldest(line: Line) -> tuple[Delivery, Item | None] | None:
    """The oldest delivery that waits, with its event."""
    while waiting := line.waiting(_PAGE):
        for event in waiting:
            _, _, delivery, row = line.read(event)
            if delivery is not None and delivery.status(_now()) == "pending":
                return delivery, row
            line.drop_waiting([event])
    return None


def _attempt_all(line: Line, waiting: Sequence[str], request: str, until: Callable[[], bool]) -> bool:
    """Attempts the deliveries, a lane's number at a time, while the webhook answers. Whether it does."""
    answers = [True]

    def attempt(event: str) -> None:
        if not answers[0] or until():
            return
        webhook, state, delivery, row = line.read(event)
        if webhook is None or webhook.status != "active" or webhook.circuit == "open":
            answers[0] = False
        elif delivery is None or delivery.status(_now()) != "pending":
            line.drop_waiting([event])
        else:
            sent, after = _attempt(line, webhook, state, delivery, row, request, waited=True)
            if not sent.is_success and is_open_after(webhook, after):
                answers[0] = False

    with ThreadPoolExecutor(LANES) as threads:
        for each in [threads.submit(copy_context().run, attempt, event) for event in waiting]:
            each.result()
    return answers[0]


def _end(line: Line, lease: str) -> None:
    """Nothing waits: the webhook is not due any more. What has begun to wait in between is looked for once more."""
    line.be_due(lease, None)
    if line.waiting(1):
        webhook_queues().send(_made_due(line, _now()))


# ---------------------------------------------------------------- the sweep


def sweeping_deliveries_handler() -> Handler:
    """The handler. Sends what is due to the queue of deliveries. Raises Unavailable."""
    warm(lambda: (table(), webhook_queues()))

    def handler(_event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
        rows, overdue = due_now(table(), _now(), MOST_SWEPT)
        webhook_queues().send([Due.of_row(row) for row in rows])
        counted("Swept deliveries", {"OldestDelivery": overdue}, found=len(rows))
        return {"due": len(rows)}

    return handler


# ---------------------------------------------------------------- batches


def _each(batch: Mapping[str, Any], do: Callable[[Any], None]) -> dict[str, Any]:
    """Does each message of a batch, and reports those that failed."""
    failed = []
    for record in batch["Records"]:
        try:
            do(json.loads(record["body"]))
        except Exception as error:
            say("Failed", "ERROR", message_id=record["messageId"], **what_failed(error))
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _deadline(context: Any, spare: float) -> Callable[[], bool]:
    """Whether less than so many seconds of the function's time are left."""
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - spare
    return lambda: time.monotonic() >= end
