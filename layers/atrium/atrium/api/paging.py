"""Pages of lists: their limits and cursors.

A cursor is a position in one list, and a checksum over the position and the list, which is a path and its filters. The
position is the id of an item; in the list of events two bytes follow it (see v1_events.py). The partition that is read
always comes from the path and the caller, so a forged cursor shows no more than an honest one. The checksum detects a
damaged cursor, and a cursor of another list, in which it would skip items.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any
from zlib import crc32

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from atrium.ids import ID

# The positions of most lists, as hex digits: ids of items.
AN_ITEM = re.compile(ID)


def cursor_behind(position: str, listed: str) -> str:
    """The cursor of the page behind a position. `listed` is the path of the list with its filters."""
    raw = bytes.fromhex(position)
    return urlsafe_b64encode(raw + crc32(raw, crc32(listed.encode())).to_bytes(4)).decode().rstrip("=")


def position_of(cursor: str, listed: str) -> str:
    """The position that a cursor of the list stands for; empty for a text that is no cursor of the list."""
    try:
        position = urlsafe_b64decode(cursor.encode("ascii") + b"==")[:-4].hex()
    except (Error, UnicodeEncodeError):
        return ""
    return position if cursor_behind(position, listed) == cursor else ""


def cursor_from(source: str, positions: re.Pattern[str] = AN_ITEM) -> AfterValidator:
    """A validator that refuses what is none of the positions. `source` says where clients get a cursor."""

    def require(position: str) -> str:
        if positions.fullmatch(position) is None:
            raise PydanticCustomError("cursor", f"Must be the {source} of this list, unchanged")
        return position

    return AfterValidator(require)


def limit_up_to(most: int) -> BeforeValidator:
    """A validator that accepts digits only; pydantic would accept `+5` and `1_0` too. All errors have one message."""

    def in_range(value: Any) -> Any:
        text = str(value)
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not (is_number and 1 <= int(text) <= most):
            raise PydanticCustomError("limit", f"Must be a whole number from 1 to {most}")
        return value

    return BeforeValidator(in_range)
