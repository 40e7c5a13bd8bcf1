"""A request, from the event of API Gateway: its path, query, body, idempotency key and conditions.

Events are of the REST API's proxy integration, payload format 1.0.
"""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from atrium import documents
from atrium.api.headers import entity_tags, idempotency_key, is_encoded, is_json
from atrium.api.links import filled, listed
from atrium.api.paging import position_of
from atrium.errors import (
    Code,
    Detail,
    Invalid,
    KeyReused,
    Refusal,
    TooLarge,
    Unavailable,
    VersionRefused,
    WrongMediaType,
)
from atrium.ids import canonical
from atrium.settings import MAX_BODY_BYTES
from atrium.store.engine.work import ANY, Conditions, IdempotencyKey

# The fields of bodies that are ids.
_IDS = frozenset(("id", "principal_id", "role_id", "manager_id", "owner_id", "assigned_to", "assignedTo"))


def prepared(event: Mapping[str, Any], declared: Mapping[str, bool]) -> dict[str, Any]:
    """The event as Powertools gets it. Raises Refusal for a body that cannot be read.

    The path is made of the route and the values in it, percent-encoded, so that the one route of the function always
    matches and its own types judge the values. Ids are in lower case, the body is text, and the cursor of a list is
    replaced by the position for which it stands: an id, or empty for none. `declared` are the query parameters of the
    route, with whether all values of each count.
    """
    ids = {name: canonical(id) for name, id in (event.get("pathParameters") or {}).items()}
    body = _text(event) if event["httpMethod"] in ("POST", "PUT", "PATCH") and event.get("body") else None
    # Powertools would judge the content type again, by its own narrower rule.
    headers = {name: value for name, value in (event.get("headers") or {}).items() if name.lower() != "content-type"}
    query = event.get("multiValueQueryStringParameters")
    if query and "cursor" in query and "cursor" in declared:
        of_list = listed(event["resource"], ids, query_of(event, declared))
        query = {**query, "cursor": [position_of(cursor, of_list) for cursor in query["cursor"]]}
    return {
        **event,
        "path": filled(event["resource"], ids),
        "pathParameters": ids,
        "headers": headers,
        "multiValueQueryStringParameters": query,
        "body": body,
        "isBase64Encoded": False,
    }


def query_of(event: Mapping[str, Any], declared: Mapping[str, bool]) -> dict[str, list[str]]:
    """The query parameters that were sent, of those that the route has, with the values that count: the last one, or
    all of them."""
    sent = event.get("multiValueQueryStringParameters") or {}
    return {name: values if declared[name] else values[-1:] for name, values in sent.items() if name in declared}


def without_cursor(event: Mapping[str, Any]) -> dict[str, Any]:
    names = ("queryStringParameters", "multiValueQueryStringParameters")
    queries = {name: {key: it for key, it in (event.get(name) or {}).items() if key != "cursor"} for name in names}
    return {**event, **queries}


def _text(event: Mapping[str, Any]) -> str:
    """The body as text. Raises Invalid, TooLarge and WrongMediaType."""
    body: str = event["body"]
    try:
        raw = b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        if len(raw) > MAX_BODY_BYTES:
            raise TooLarge(f"The body may have at most {MAX_BODY_BYTES // 1024} KB.", Code.BODY_TOO_LARGE)
        if is_encoded(event):
            raise WrongMediaType("Send the body as it is, without a Content-Encoding.", Code.MEDIA_TYPE_UNSUPPORTED)
        if not is_json(event):
            raise WrongMediaType(
                "Send the body as Content-Type: application/json, in UTF-8.", Code.MEDIA_TYPE_UNSUPPORTED
            )
        return raw.decode()
    except (binascii.Error, UnicodeError):
        raise Invalid(Detail(("body",), "Must be UTF-8", "json_invalid")) from None


def json_object(text: str) -> dict[str, Any]:
    """The body as a JSON object. Raises Invalid."""
    try:
        value = documents.parse(text)
    except documents.NotJson as error:
        raise Invalid(Detail(("body",), str(error), "json_invalid")) from None
    if not isinstance(value, dict):
        raise Invalid(Detail(("body",), "Must be a JSON object", "object_type"))
    return value


def idempotency(event: Mapping[str, Any], body: Any) -> IdempotencyKey | None:
    """The Idempotency-Key, bound to method and route, with a fingerprint of the ids, the query and the body. None if
    the header was not sent. Raises Invalid."""
    key = idempotency_key(event)
    if key is None:
        return None
    if event["body"]:
        # An id is the same in either case; a name is another one.
        body = {name: canonical(it) if name in _IDS and isinstance(it, str) else it for name, it in body.items()}
    parts = [
        event.get("pathParameters"),
        event.get("multiValueQueryStringParameters"),
        documents.canonical(body) if event["body"] else None,
    ]
    fingerprint = sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return IdempotencyKey((event["httpMethod"], event["resource"], key), fingerprint)


def conditions(event: Mapping[str, Any], prefix: str) -> Conditions:
    """The versions that If-Match and If-None-Match name for a write. A tag with another prefix than the dialect's names
    no version; nor does a weak tag in If-Match. Raises Invalid."""

    def versions(name: str, tag: str) -> frozenset[str] | None:
        sent = entity_tags(event, name)
        if sent is None:
            return None
        return frozenset([ANY] if sent == ["*"] else (found[1] for each in sent if (found := re.fullmatch(tag, each))))

    version = f'"{prefix}-([0-9a-f-]+)"'
    return Conditions(versions("If-Match", version), versions("If-None-Match", f"(?:W/)?{version}"))


# ---------------------------------------------------------------- refusals that are about a header


def about_headers(refusal: Refusal) -> Refusal:
    """The refusal of a request's idempotency key as one of the header in which it was sent; any other as it is."""
    if isinstance(refusal, KeyReused):
        message = "This Idempotency-Key was used for another request. Send a new one."
        return Invalid(Detail(("header", "Idempotency-Key"), message, refusal.code.word))
    return refusal


def message_of(refusal: Refusal) -> str:
    """The refusal's message, with the header that it is about, if any."""
    match refusal:
        case VersionRefused(current=None):
            return "If-Match names a version, and what is not there yet has none. Leave it out."
        case VersionRefused(code=Code.VERSION_MISMATCH):
            return "If-Match names another version than the current one. Read it again."
        case VersionRefused():
            return "If-None-Match names the current version."
        case Unavailable():
            return "The service is busy. Send the same request again, with the same Idempotency-Key."
    return refusal.message
