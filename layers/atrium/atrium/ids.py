"""Ids of 96 bits, in two spellings.

Short: 24 lower-case hex digits in the layout of an ObjectId: four bytes of seconds, ten bits of milliseconds and 54
random bits, so ids sort by time. Long: the same 24 digits as a UUID of version 8, `8hex-4hex-8000-8000-12hex`. Both are
read in upper or lower case (RFC 9562, section 4). Inside Atrium an id is always the 24 digits in lower case.
"""

import re
import secrets
import time
from hashlib import sha256

# Patterns without anchors, also for JSON Schema: of an id in an answer, and of ids in requests.
ID = "[0-9a-f]{24}"
SENT_ID = "[0-9A-Fa-f]{24}"
SENT_UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

_CHANCE = secrets.SystemRandom()

_ID = re.compile(ID)
_SENT_ID = re.compile(SENT_ID)
_UUID = re.compile(SENT_UUID)


def new_id() -> str:
    """A new id in its 24 digits."""
    milliseconds = time.time_ns() // 1_000_000
    tail = (milliseconds % 1000) << 54 | secrets.randbits(54)
    return f"{milliseconds // 1000:08x}{tail:016x}"


def new_ids(count: int, milliseconds: int, above: str | None = None) -> list[str]:
    """So many new ids of a moment (milliseconds since 1970), ascending and above the id `above`. They are of a later
    millisecond where that id has taken up the rest of this one."""
    first = lowest_number(milliseconds)
    if above is not None:
        first = max(first, int(above, 16) + 1)
    room = range(first, (first >> 54) + 1 << 54)
    if len(room) < count:
        return new_ids(count, milliseconds_of(above or "0") + 1)
    return [f"{number:024x}" for number in sorted(_CHANCE.sample(room, count))]


def derived_id(*parts: str) -> str:
    """The id that follows from these texts: always the same one, and of no moment."""
    return sha256("\n".join(parts).encode()).hexdigest()[:24]


def lowest_number(milliseconds: int) -> int:
    """The number that the lowest id of a moment (milliseconds since 1970) is in hex digits. One of a moment that no id
    can have is before or behind those of all ids."""
    return milliseconds // 1000 << 64 | milliseconds % 1000 << 54


def milliseconds_of(id: str) -> int:
    """The moment of an id, in milliseconds since 1970."""
    number = int(id, 16)
    return (number >> 64) * 1000 + (number >> 54 & 0x3FF)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def to_uuid(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-8000-8000-{id[12:]}"


def canonical(text: str) -> str:
    """The lower-case spelling of an id in either form; any other text unchanged."""
    return text.lower() if _SENT_ID.fullmatch(text) or _UUID.fullmatch(text) else text


def from_uuid(text: str) -> str:
    """The id of a hyphenated UUID, without braces or `urn:uuid:`. Raises ValueError for a text that is no UUID.

    A UUID of another form is the id of nothing here: its 32 digits are returned, which no stored id equals.
    """
    if _UUID.fullmatch(text) is None:
        raise ValueError("not a hyphenated UUID")
    digits = text.lower().replace("-", "")
    return digits[:12] + digits[20:] if digits[12:20] == "80008000" else digits
