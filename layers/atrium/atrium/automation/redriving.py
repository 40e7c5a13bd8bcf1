"""The command that sends dead letters again, once the cause of their failure is mended."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from atrium.automation.invocation import Handler, parsed, refusals_told
from atrium.cold_start import warm
from atrium.store.letters import DeadLetters, Letter, dead_letters
from atrium.store.redrive import LONGEST_SECONDS, send_again
from atrium.telemetry import say

# Seconds that received letters are hidden: longer than a run may take, so that no run receives a letter twice. Letters
# of a run that was cut off come back then.
_HIDDEN_SECONDS = 900

# The most letters that the result names of those that stay.
_MAX_NAMED = 100


class RedriveRequest(BaseModel):
    """An empty request."""

    model_config = ConfigDict(extra="forbid")


def redriving_handler() -> Handler:
    """The handler. Raises Refused.

    Its result counts the letters that were `sent` and deleted from the queue, that `failed` again, and that were `left`
    because they hold nothing to send. It is `complete` if the run saw all letters. `details` name those that stay.
    """
    warm(dead_letters)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        with refusals_told():
            parsed(RedriveRequest, event)
        until = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - LONGEST_SECONDS
        return _redrive(dead_letters(), lambda: time.monotonic() >= until)

    return handler


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
