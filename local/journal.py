"""A file that keeps the messages of a queue while the instance does not run."""

import json
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """A line of JSON for each message that was sent, and one for each that is done. A kill of the process loses none of
    them; it may leave a last line that is half written, which counts as not sent.

    `waiting` are the messages that an earlier process has sent and not done, in the order of sending.
    """

    def __init__(self, path: Path) -> None:
        kept: dict[str, Line] = {}
        for line in path.read_text().split("\n")[:-1] if path.exists() else ():
            match json.loads(line):
                case {"done": id}:
                    kept.pop(id, None)
                case sent:
                    kept[sent["id"]] = sent
        self.waiting = list(kept.values())
        draft = path.with_suffix(".new")
        draft.write_text("".join(f"{json.dumps(sent)}\n" for sent in self.waiting))
        draft.rename(path)
        self._file = path.open("a")

    def sent(self, message: Line) -> None:
        """The message has an `id`."""
        self._write(message)

    def done(self, id: str, *, last: bool) -> None:
        """The message is done; `last` says that none is left, so that the file can be emptied."""
        if last:
            self._file.truncate(0)
        else:
            self._write({"done": id})

    def _write(self, line: Line) -> None:
        self._file.write(f"{json.dumps(line)}\n")
        self._file.flush()
