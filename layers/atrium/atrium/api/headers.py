"""Request headers: found in any case, and checked."""

import re
from collections.abc import Mapping
from typing import Any

from atrium.errors import Detail, Invalid

# White space around a header's value (RFC 9110, 5.6.3). Python's strip() would take more characters.
OWS = " \t"

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"'
# A list of tags (RFC 9110, 5.6.1): elements may be empty, and a comma within the quotes belongs to the tag.
_TAGS = re.compile(rf"(?:[ \t]*+(?:{_TAG}[ \t]*+)?,)*+[ \t]*+(?:{_TAG}[ \t]*+)?")

# A media type and its parameters (RFC 9110, 5.6.6 and 8.3.1). There may be no parameter between two semicolons.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:({_WORD})=({_WORD}|{_QUOTED}))?")
_MEDIA_TYPE = re.compile(rf"({_WORD}/{_WORD})((?:{_PARAMETER.pattern})*+)")


def values_of(event: Mapping[str, Any], name: str) -> list[str]:
    """All values of a header, in the order they were sent. API Gateway keeps the client's spelling of names."""
    many = event.get("multiValueHeaders")
    one = event.get("headers")
    pairs = many.items() if many else [(key, [value]) for key, value in (one or {}).items()]
    return [value for key, values in pairs if key.lower() == name.lower() for value in values]


def is_json(event: Mapping[str, Any]) -> bool:
    """Whether each Content-Type, if any, is JSON and has no charset but UTF-8. Other parameters are ignored (RFC 8259,
    11)."""
    for value in values_of(event, "Content-Type"):
        found = _MEDIA_TYPE.fullmatch(value.strip(OWS))
        if found is None or found[1].lower() != "application/json":
            return False
        for name, text in _PARAMETER.findall(found[2]):
            charset = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
            if name.lower() == "charset" and charset.lower() not in ("utf-8", "utf8"):
                return False
    return True


def is_encoded(event: Mapping[str, Any]) -> bool:
    """Whether the body has a content coding (RFC 9110, 8.4)."""
    codings = ",".join(values_of(event, "Content-Encoding")).split(",")
    return any(coding.strip(OWS).lower() not in ("", "identity") for coding in codings)


def api_url(event: Mapping[str, Any]) -> str:
    """The address of the API: scheme, host, and what stands before a route, such as a stage or a domain's base path."""
    forwarded = values_of(event, "X-Forwarded-Proto")
    scheme = next((value for value in forwarded if value in ("http", "https")), "https")
    context = event["requestContext"]
    # Emulators of API Gateway leave the domain's name out.
    host = context.get("domainName") or "".join(values_of(event, "Host")[:1])
    before = [part for part in context["path"].split("/") if part][: -event["resource"].count("/")]
    return f"{scheme}://{'/'.join([host, *before])}"


def help_with_errors(event: Mapping[str, Any]) -> str:
    """The Link of a refusal, to the explanation of its code."""
    return f'<{api_url(event)}/docs#errors>; rel="help"'


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


def entity_tags(event: Mapping[str, Any], name: str) -> list[str] | None:
    """The entity tags of If-Match or If-None-Match as they were sent, or `["*"]`; None without the header. Raises
    Invalid for any other value (RFC 9110, 13.1.1)."""
    sent = values_of(event, name)
    if not sent:
        return None
    text = ",".join(sent)
    if text.strip(OWS) == "*":
        return ["*"]
    tags = re.findall(_TAG, text) if _TAGS.fullmatch(text) else []
    if not tags:
        word = name.lower().replace("-", "_")
        raise Invalid(Detail(("header", name), "Must be * or a list of entity tags in quotes", word))
    return tags


def is_known(event: Mapping[str, Any], etag: str) -> bool:
    """Whether If-None-Match names this entity tag, or is `*`. Tags are compared weakly. An invalid header names no tag,
    since the full answer is right too."""
    try:
        tags = entity_tags(event, "If-None-Match") or []
    except Invalid:
        return False
    return tags == ["*"] or etag in (tag.removeprefix("W/") for tag in tags)
