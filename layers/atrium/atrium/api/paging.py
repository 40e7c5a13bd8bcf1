"""Pages of lists: their limits and cursors.

A cursor is a position and nothing else. The partition that is read always comes from the path and the caller, so a
forged cursor shows nothing that an honest one could not; its checksum is there to tell a client that it damaged one.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Any
from zlib import crc32

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from atrium.ids import is_id


def cursor_behind(id: str) -> str:
    """The cursor of the page behind an item."""
    raw = bytes.fromhex(id)
    return urlsafe_b64encode(raw + crc32(raw).to_bytes(4)).decode().rstrip("=")


def cursor_from(source: str) -> AfterValidator:
    """Turns a cursor into the id of the item that its page starts behind; `source` says where clients get one."""

    def position(cursor: str) -> str:
        try:
            id = urlsafe_b64decode(cursor.encode("ascii") + b"==")[:-4].hex()
        except (Error, UnicodeEncodeError):
            id = ""
        if not is_id(id) or cursor_behind(id) != cursor:
            raise PydanticCustomError("cursor", f"Must be the {source}, unchanged")
        return id

    return AfterValidator(position)


def limit_up_to(most: int) -> BeforeValidator:
    """Takes digits only; pydantic would take `+5`, ` 5` and `1_0` too. All that is wrong is told alike."""

    def in_range(value: Any) -> Any:
        text = str(value)
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not (is_number and 1 <= int(text) <= most):
            raise PydanticCustomError("limit", f"Must be a whole number from 1 to {most}")
        return value

    return BeforeValidator(in_range)
