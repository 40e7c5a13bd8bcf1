"""Sends again what is in DeadLetters, whatever its kind, once what made it fail is mended."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from atrium.automation.commands import asked, mended
from atrium.cold_start import warm
from atrium.store.letters import DeadLetters, Letter, dead_letters
from atrium.store.redrive import LONGEST_SECONDS, send_again
from atrium.telemetry import say

# Longer than a run may take, so that none receives a letter twice. Those of a run that was ended are back by then.
_HIDDEN_SECONDS = 900

# As many letters as the answer names that stay.
_MAX_NAMED = 100


class RedriveRequest(BaseModel):
    """There is nothing to be said yet."""

    model_config = ConfigDict(extra="forbid")


def redriving_handler() -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler. Its result says how many letters were `sent` and are gone from the queue, how many `failed` again,
    and how many were `left` since there is nothing to send; whether it is `complete`, that is, saw all; and of the
    letters that stay, the `details`. Raises Refused.
    """
    warm(dead_letters)

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        mended(lambda: asked(RedriveRequest, event))
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
