"""Credentials: their form, and the digest under which they are stored.

A secret of Atrium is opaque: `atr_<kind>_<43 base62 digits><6 base62 digits of their CRC-32>`. The prefix lets scanners
find a leaked secret, 43 digits are 256 random bits, and the checksum detects a typo without a read of the table. The
table stores the SHA-256 of the whole text. A slow hash would protect secrets that can be guessed; these cannot.

An identity is the name that an issuer of access tokens has for a principal. It is not secret: the token's signature
proves it.
"""

import re
import secrets
import string
from hashlib import sha256
from zlib import crc32

KINDS = ("token", "key")
IDENTITY = "identity"

# By so many of its last characters a secret is told from others. They are of the checksum, which says nothing new.
HINT = 4

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"(atr_(?:{'|'.join(KINDS)})_[0-9A-Za-z]{{43}})([0-9A-Za-z]{{6}})")


def new_secret(kind: str) -> str:
    """The text of a new secret. It is stored nowhere, so show it once."""
    text = f"atr_{kind}_" + "".join(secrets.choice(_DIGITS) for _ in range(43))
    return text + _checksum(text)


def is_well_formed(secret: str) -> bool:
    found = _FORM.fullmatch(secret)
    return found is not None and secrets.compare_digest(found[2], _checksum(found[1]))


def digest(secret: str) -> str:
    """The digest of a secret: its SHA-256 in hex."""
    return sha256(secret.encode()).hexdigest()


def identity_digest(issuer: str, subject: str) -> str:
    """The digest of an identity. Its text has line feeds, which no secret has, so no secret has this digest."""
    return sha256(f"{IDENTITY}\n{issuer}\n{subject}".encode()).hexdigest()


def _checksum(text: str) -> str:
    number, digits = crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
