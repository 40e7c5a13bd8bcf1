"""The terminal output of a running instance: one line for each occurrence, with its time."""

import io
import json
import os
import sys
import time
from contextlib import suppress
from datetime import datetime

from atrium.ids import to_uuid

# The beginning of a route's log line for CloudWatch. It is not shown, since the gateway prints a line for each request.
_FOR_CLOUDWATCH = '{"message":"Answered",'

# The beginnings of the log lines of attempts to deliver an event to a webhook.
_ATTEMPTS = ('{"message":"Delivered",', '{"message":"Not delivered",')


def say(text: str) -> None:
    """Prints a line."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class FunctionOutput(io.TextIOBase):
    """Replaces a worker's stdout and stderr: shows each line that a function prints or logs at once, with the time and
    the function's name (`speaker`). Lines of several processes do not mix. The function's access log is left out, and a
    line about an attempt to deliver an event is made readable.
    """

    def __init__(self, speaker: str = "-") -> None:
        self.speaker = speaker
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        now = time.strftime("%H:%M:%S")
        shown = [self._shown(line) for line in lines if not line.startswith(_FOR_CLOUDWATCH)]
        if shown:
            os.write(2, "".join(f"{now} {line}\n" for line in shown).encode(errors="replace"))
        return len(text)

    def _shown(self, line: str) -> str:
        if line.startswith(_ATTEMPTS):
            # A line that lacks a member is shown as it is.
            with suppress(KeyError, TypeError, ValueError):
                return _attempt(line)
        return f"{self.speaker} | {line}"


def _attempt(line: str) -> str:
    """A log line about an attempt to deliver an event, for people."""
    told = json.loads(line)
    result = told.get("status") or told.get("error")
    after = told.get("next")
    # The form that the API and the receiver know.
    event = to_uuid(told["event"])
    again = f", next at {datetime.fromisoformat(after).astimezone():%H:%M:%S}" if after else ""
    return f"webhook {told['host']} {told['type']} {event} attempt {told['attempt']}: {result}{again}"
