"""Cursors of lists: a position and nothing else.

The partition that is read always comes from the path and the caller, so a forged cursor shows nothing that an honest
one could not. The checksum is there to tell a client that it damaged one.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from zlib import crc32

from atrium.ids import is_id


def cursor_behind(id: str) -> str:
    """The cursor of the page behind an item."""
    raw = bytes.fromhex(id)
    return urlsafe_b64encode(raw + crc32(raw).to_bytes(4)).decode().rstrip("=")


def position(cursor: str) -> str:
    """The id of the item that a page starts behind. Raises ValueError for anything cursor_behind does not make."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"==")
    except (Error, UnicodeEncodeError):
        raise ValueError("not a cursor") from None
    id = raw[:-4].hex()
    if not is_id(id) or cursor_behind(id) != cursor:
        raise ValueError("not a cursor")
    return id
