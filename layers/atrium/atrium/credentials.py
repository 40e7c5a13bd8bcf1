"""Credentials: their form, and what is kept of them.

Ours are opaque: `atr_<kind>_<43 base62 digits><6 base62 digits of their CRC-32>`. The prefix lets scanners find a
leaked one, 43 digits are 256 random bits, and the checksum refuses a typo without a read of the table. What is kept is
the SHA-256 of the whole text. A slow hash would protect a guessable secret; these cannot be guessed.

An identity is the name that an issuer of access tokens has for somebody. It is no secret: the issuer's signature is.
"""

import re
import secrets
import string
from hashlib import sha256
from zlib import crc32

KINDS = ("token", "key")
IDENTITY = "identity"

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"(atr_(?:{'|'.join(KINDS)})_[0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})")


def new_secret(kind: str) -> str:
    """A new credential's text. It is not kept anywhere: show it once."""
    text = f"atr_{kind}_" + "".join(secrets.choice(_DIGITS) for _ in range(43))
    return text + _checksum(text)


def is_well_formed(secret: str) -> bool:
    found = _FORM.fullmatch(secret)
    return found is not None and secrets.compare_digest(found[2], _checksum(found[1]))


def digest(secret: str) -> str:
    """What is kept of a credential: hex of its SHA-256."""
    return sha256(secret.encode()).hexdigest()


def identity_digest(issuer: str, subject: str) -> str:
    """The same of an identity. No secret has the line feeds of the text, so no secret has this digest."""
    return sha256(f"{IDENTITY}\n{issuer}\n{subject}".encode()).hexdigest()


def _checksum(text: str) -> str:
    number, digits = crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
