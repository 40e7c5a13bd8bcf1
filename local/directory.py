"""The data directory of an instance: its ownership, and the files that other programs read."""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any

from atrium.keys import LAYOUT


def data_directory() -> Path:
    """The path in DATA_DIR, or `.local`."""
    return Path(os.environ.get("DATA_DIR") or ".local")


@contextmanager
def owned(directory: Path) -> Iterator[bool]:
    """Locks the directory, and yields whether that succeeded: False while another process has it. The mode becomes
    0700, so that other users of the machine cannot read it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def require_layout(directory: Path) -> None:
    """Ends the program if the directory has data of another layout. Data without a number is of the first layout."""
    file = directory / "layout"
    found = int(file.read_text()) if file.exists() else 1
    if not any((directory / "dynamodb").glob("*")):
        file.write_text(f"{LAYOUT}\n")
    elif found != LAYOUT:
        sys.exit(f"{directory} has data of layout {found}, and this Atrium writes layout {LAYOUT}: run `make reset`.")


@contextmanager
def published(path: Path, content: Mapping[str, Any]) -> Iterator[None]:
    """Writes a file for other programs, and removes it at the end, when its content is no longer true."""
    write_privately(path, content)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def write_privately(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file that only its owner may read. The file is replaced at once, never seen half written."""
    _write_privately(path, json.dumps(content, indent=1).encode())


def _write_privately(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def webhook_key(directory: Path) -> Path:
    """The file with the 32 random bytes from which the secrets of webhooks are derived. The first start makes it; it is
    kept with the data, since another key would give existing webhooks other secrets.
    """
    path = directory.resolve() / "webhook-key"
    if not path.exists():
        _write_privately(path, token_bytes(32))
    return path


def append(path: Path, line: str) -> None:
    """Adds a line in one write: a kill leaves the whole line or nothing."""
    with path.open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())
