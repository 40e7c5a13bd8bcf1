"""The terminal output of a running instance: one line for each occurrence, with its time."""

import io
import os
import sys
import time

# The beginning of a route's log line for CloudWatch. It is not shown, since the gateway prints a line for each request.
_FOR_CLOUDWATCH = '{"message":"Answered",'


def say(text: str) -> None:
    """Prints a line."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class FunctionOutput(io.TextIOBase):
    """Replaces a worker's stdout and stderr: shows each line that a function prints or logs at once, with the time and
    the function's name (`speaker`). Lines of several processes do not mix. The function's access log is left out.
    """

    def __init__(self, speaker: str = "-") -> None:
        self.speaker = speaker
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        prefix = f"{time.strftime('%H:%M:%S')} {self.speaker} | "
        shown = [line for line in lines if not line.startswith(_FOR_CLOUDWATCH)]
        if shown:
            os.write(2, "".join(f"{prefix}{line}\n" for line in shown).encode(errors="replace"))
        return len(text)
