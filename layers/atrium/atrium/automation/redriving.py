"""The command that sends again what could not be sent, once the cause of the failure is mended: dead letters; events
that the stream lost, from the ledger; and a range of events, for who lost them behind the bus."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from atrium import keys
from atrium.automation.invocation import Handler, parsed, refusals_told
from atrium.cold_start import warm
from atrium.ids import is_id
from atrium.keys import Key
from atrium.store.engine.table import table
from atrium.store.history import first_of, settled, tenants
from atrium.store.letters import DeadLetters, Letter, dead_letters
from atrium.store.redrive import LONGEST_SECONDS, publish_again, send_again
from atrium.store.unsent import Again, Unsent
from atrium.telemetry import say
from atrium.text import Uuid

# Seconds that received letters are hidden: longer than a run may take, so that no run receives a letter twice. Letters
# of a run that was cut off come back then.
_HIDDEN_SECONDS = 900

# The most letters that the result names of those that stay.
_MAX_NAMED = 100


class RedriveRequest(BaseModel):
    """Dead letters; with `ledger` then the events that have had no number for an hour, of all tenants or of one; with
    `since` in their place all events of a tenant from that moment on, before the moment `until`. `after` continues a
    run that ran out of time, with the `after` of its result."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ledger: bool = False
    tenant_id: Uuid | None = None
    since: AwareDatetime | None = Field(default=None, strict=False)
    until: AwareDatetime | None = Field(default=None, strict=False)
    after: tuple[str, str] | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.since is not None and (self.ledger or self.tenant_id is None):
            raise ValueError("since: Send it with tenant_id, and without ledger")
        if self.until is not None and (self.since is None or self.until <= self.since):
            raise ValueError("until: Must be after since")
        if self.since is None and not self.ledger and (self.tenant_id or self.after):
            raise ValueError("tenant_id, after: Send them with ledger or since")
        if self.since is not None and self.after is not None and not is_id(self.after[1]):
            raise ValueError("after: Must be that of an earlier result")
        return self


def redriving_handler() -> Handler:
    """The handler. Raises Refused and Unavailable.

    Its result counts the letters that were `sent` and deleted from the queue, that `failed` again, and that were `left`
    because they hold nothing to send; `details` name those that stay. `events` counts those that were sent from
    ledgers, likewise: `left` have no number, and it cannot be told. The run is `complete` if it came to the end, else
    the next one goes on with its `after`.
    """
    warm(dead_letters)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            request = parsed(RedriveRequest, event)
        until = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - LONGEST_SECONDS

        def stop() -> bool:
            return bool(time.monotonic() >= until)

        if request.since is not None:
            return _send_range(request, stop)
        if request.after is not None:
            return _send_unsent(request, stop)
        letters = _redrive(dead_letters(), stop)
        if not request.ledger or not letters["complete"]:
            return letters
        unsent = _send_unsent(request, stop)
        return {**letters, **unsent, "complete": letters["complete"] and unsent["complete"]}

    return handler


def _send_range(request: RedriveRequest, stop: Callable[[], bool]) -> dict[str, Any]:
    tenant, since = str(request.tenant_id), request.since or datetime.now(UTC)
    again = Again(table(), tenant, publish_again)
    first = int(request.after[1], 16) + 1 if request.after else first_of(since)
    end = min(settled(), first_of(request.until)) if request.until else settled()
    after = again.run(first, end - 1, stop)
    counts = {"sent": again.sent, "failed": again.failed, "left": again.left}
    return {
        "complete": after is None,
        "after": None if after is None else list(keys.event(tenant, after)),
        "events": counts,
    }


def _send_unsent(request: RedriveRequest, stop: Callable[[], bool]) -> dict[str, Any]:
    """Goes through the ledgers, tenant after tenant. One that is not done is begun anew by the next run, which finds
    less in it."""
    after, complete = Key(*request.after) if request.after else None, True
    counts = {"sent": 0, "failed": 0, "left": 0}
    if request.tenant_id is not None:
        places = iter([(keys.tenant(request.tenant_id), True)])
    else:
        places = tenants(table(), after)
    for place, is_tenant in places:
        if is_tenant:
            unsent = Unsent(table(), keys.tenant_of(place.pk), publish_again)
            complete = unsent.run(stop)
            for name in counts:
                counts[name] += getattr(unsent, name)
        if not complete:
            break
        after = place
        if stop():
            complete = False
            break
    return {"complete": complete, "after": None if complete or after is None else list(after), "events": counts}


def _redrive(queue: DeadLetters, stop: Callable[[], bool]) -> dict[str, Any]:
    counts = {"sent": 0, "failed": 0, "left": 0}
    details: list[dict[str, str]] = []
    stay: list[Letter] = []
    complete = False
    while not stop():
        letters = queue.receive(_HIDDEN_SECONDS)
        if not letters:
            complete = True
            break
        for letter in letters:
            if stop():
                stay.append(letter)
                continue
            outcome, why = send_again(letter)
            counts[outcome] += 1
            if outcome == "sent":
                queue.delete(letter)
            else:
                stay.append(letter)
                details.append({"message_id": letter.id, "outcome": outcome, "why": why})
    for letter in stay:
        queue.put_back(letter)
    say("Redriven", "WARN" if stay else "INFO", complete=complete, **counts)
    return {**counts, "complete": complete, "details": details[:_MAX_NAMED]}
