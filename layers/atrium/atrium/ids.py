"""One 96-bit id, two spellings.

Flat: 24 lower-case hex digits laid out as an ObjectId: four bytes of seconds, then ten bits of milliseconds and 54
random bits, so ids sort by time. v1: the same 24 digits as a UUID of version 8, `8hex-4hex-8000-8000-12hex`. Both are
read in any case, as RFC 9562 has it in section 4. Inside Atrium an id is always the 24 digits, in lower case.
"""

import re
import secrets
import time

# Without anchors, for JSON Schema too: an id as it is answered, and what is read as one.
ID = "[0-9a-f]{24}"
SENT_ID = "[0-9A-Fa-f]{24}"
SENT_UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

_ID = re.compile(ID)
_SENT_ID = re.compile(SENT_ID)
_UUID = re.compile(SENT_UUID)


def new_id() -> str:
    """A new id in its 24 digits."""
    milliseconds = time.time_ns() // 1_000_000
    tail = (milliseconds % 1000) << 54 | secrets.randbits(54)
    return f"{milliseconds // 1000:08x}{tail:016x}"


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def to_uuid(id: str) -> str:
    return f"{id[:8]}-{id[8:12]}-8000-8000-{id[12:]}"


def canonical(text: str) -> str:
    """The one spelling of an id that may be sent in several; any other text as it is."""
    return text.lower() if _SENT_ID.fullmatch(text) or _UUID.fullmatch(text) else text


def from_uuid(text: str) -> str:
    """The id that a hyphenated UUID spells, without braces or `urn:uuid:`.

    A UUID that is not of our form names nothing of ours: its 32 digits come back, which no stored id equals.
    Raises ValueError when the text is not a UUID.
    """
    if _UUID.fullmatch(text) is None:
        raise ValueError("not a hyphenated UUID")
    digits = text.lower().replace("-", "")
    return digits[:12] + digits[20:] if digits[12:20] == "80008000" else digits
