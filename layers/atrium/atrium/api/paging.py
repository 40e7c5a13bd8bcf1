"""Pages of lists: their limits and cursors.

A cursor is a position in one list: the id of an item, and a checksum over it and the list, which is a path and filters.
The partition that is read always comes from the path and the caller, so a forged cursor shows nothing that an honest
one could not; the checksum tells a client that it damaged one, or sent it to a list in which it would skip items.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any
from zlib import crc32

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from atrium.ids import is_id


def cursor_behind(id: str, listed: str) -> str:
    """The cursor of the page behind an item of a list, which is named by its path and filters."""
    raw = bytes.fromhex(id)
    return urlsafe_b64encode(raw + crc32(raw, crc32(listed.encode())).to_bytes(4)).decode().rstrip("=")


def position_of(cursor: str, listed: str) -> str:
    """The id that a cursor of the list stands behind; empty for what is no cursor of it."""
    try:
        id = urlsafe_b64decode(cursor.encode("ascii") + b"==")[:-4].hex()
    except (Error, UnicodeEncodeError):
        return ""
    return id if is_id(id) and cursor_behind(id, listed) == cursor else ""


def cursor_from(source: str) -> AfterValidator:
    """Refuses the position of what is no cursor; `source` says where clients get one."""

    def require(position: str) -> str:
        if not position:
            raise PydanticCustomError("cursor", f"Must be the {source} of this list, unchanged")
        return position

    return AfterValidator(require)


def limit_up_to(most: int) -> BeforeValidator:
    """Takes digits only; pydantic would take `+5`, ` 5` and `1_0` too. All that is wrong is told alike."""

    def in_range(value: Any) -> Any:
        text = str(value)
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not (is_number and 1 <= int(text) <= most):
            raise PydanticCustomError("limit", f"Must be a whole number from 1 to {most}")
        return value

    return BeforeValidator(in_range)
