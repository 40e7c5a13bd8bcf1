"""The program `atrium`."""

import io
import os
import sys
from typing import Any, TextIO

from atrium_cli.app import app
from atrium_cli.failures import CLOSED


class _Output(io.FileIO):
    """Ends the program when its reader has gone, as SIGPIPE does, which would come of connections, too."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            os._exit(CLOSED)


def _output(stream: TextIO) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


def main() -> None:
    # One that is closed from the start is None.
    sys.stdout = sys.stdout and _output(sys.stdout)
    sys.stderr = sys.stderr and _output(sys.stderr)
    app(prog_name="atrium")


if __name__ == "__main__":
    main()
