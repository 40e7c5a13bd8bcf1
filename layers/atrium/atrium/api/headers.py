"""Request headers: found in any case, checked for what they may hold."""

import re
from collections.abc import Mapping
from typing import Any

from atrium.errors import Detail, Invalid

# What may stand around a header's value (RFC 9110, 5.6.3). Python's own idea of white space is wider.
OWS = " \t"

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def values_of(event: Mapping[str, Any], name: str) -> list[str]:
    """All values of a header, in the order they were sent. API Gateway keeps the case that the client wrote."""
    many = event.get("multiValueHeaders")
    one = event.get("headers")
    pairs = many.items() if many else [(key, [value]) for key, value in (one or {}).items()]
    return [value for key, values in pairs if key.lower() == name.lower() for value in values]


def idempotency_key(event: Mapping[str, Any]) -> str | None:
    """The Idempotency-Key, bare or as a quoted string. Raises Invalid."""
    sent = values_of(event, "Idempotency-Key")
    if not sent:
        return None
    key = sent[0].strip(OWS)
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(sent) > 1 or _VISIBLE.fullmatch(key) is None:
        raise Invalid(
            Detail(
                ("header", "Idempotency-Key"), "Must be 1 to 255 visible ASCII characters, sent once", "idempotency_key"
            )
        )
    return key


def if_match(event: Mapping[str, Any]) -> frozenset[str] | None:
    """The versions that If-Match allows, `*` for any existing one; None without the header. Weak tags never match, and
    the tag "*", in quotes, is one that nothing has.

    Raises Invalid for anything but `*` or a list of entity tags (RFC 9110, 13.1.1).
    """
    sent = values_of(event, "If-Match")
    if not sent:
        return None
    tags = [tag.strip(OWS) for tag in ",".join(sent).split(",")]
    if tags == ["*"]:
        return frozenset("*")
    found = [_ENTITY_TAG.fullmatch(tag) for tag in tags]
    if not all(found):
        raise Invalid(Detail(("header", "If-Match"), 'Must be * or entity tags such as "3"', "if_match"))
    return frozenset(tag[2] for tag in found if tag is not None and not tag[1] and tag[2] != "*")
