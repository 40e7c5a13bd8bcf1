"""What a person sees of a running instance: one line for each thing that happens, with its time."""

import io
import os
import sys
import time

# The line that a route's function has for CloudWatch. Of each request the gateway says what a person wants to know.
_FOR_CLOUDWATCH = '{"message":"Answered",'


def say(text: str) -> None:
    """Prints a line."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class FunctionOutput(io.TextIOBase):
    """Takes the place of a worker's stdout and stderr: what a function prints or logs is shown at once, each line with
    the time and the function's name (`speaker`), whole even when several processes speak; all but its access log.
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
