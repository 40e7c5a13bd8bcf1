"""The parts of the OpenAPI document that routes share: credentials, headers, parameters and refusals."""

import json
from collections.abc import Iterable
from typing import Any

from atrium.api.flat import flat_api
from atrium.api.v1 import v1_api
from atrium.errors import Archived, Code, Refusal
from local.template import Template
from tools.openapi import JSON, Json, ref
from tools.openapi.advice import ADVICE

# The values of `type` in a v1 refusal: pydantic's words first, then ours.
ERROR_TYPES = (
    *("bool_type", "extra_forbidden", "greater_than_equal", "int_parsing", "int_type", "less_than_equal"),
    *("literal_error", "missing", "string_too_long", "string_too_short", "string_type", "too_long", "uuid_parsing"),
    *("cursor", "datetime_parsing", "description_type", "event_type", "hours", "idempotency_key"),
    *(
        "idempotency_key_reused",
        "if_match",
        "json_invalid",
        "limit",
        "not_a_member",
        "object_type",
        "one_of",
        "string_control",
        "unknown_principal",
    ),
    *("unknown_role", "email", "search", "string_invisible", "users_only"),
    *("access_token", "beyond_enrolment", "beyond_issuer", "enrolment", "not_earlier", "past", "bool_parsing"),
    *("span", "webhook_url"),
)

# The dialects' refusals are those of any route.
_DIALECTS = {
    "": flat_api(permission=None, access="NoTable"),
    "V1": v1_api(permission=None, access="NoTable"),
}

CREDENTIALS = {
    "BearerToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of Atrium's own, `atr_token_…`, or a key of its own; or an access token of the issuer "
        "that is trusted here.",
    },
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of Atrium's own, `atr_key_…`, or a token of its own; no access token.",
    },
}


def _object(description: str, **properties: Json) -> Json:
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}


_MESSAGE = {"type": "string", "description": "What is wrong, for people."}

ERRORS = {
    "FlatError": _object("What a refusal looks like in the flat dialect.", error=_MESSAGE),
    "V1Error": _object("What a refusal looks like in the v1 dialect.", detail=_MESSAGE),
    "V1ValidationError": _object(
        "What is wrong with what was sent, place by place; at most twenty places.",
        detail={"type": "array", "minItems": 1, "items": ref("schemas", "V1ErrorDetail")},
    ),
    "V1ErrorDetail": _object(
        "One thing that is wrong. Nothing that was sent is in it.",
        loc={
            "type": "array",
            "description": "Where: `path`, `query`, `header` or `body`, then names and positions.",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        msg={"type": "string", "description": "What to do about it, for people."},
        type={"type": "string", "enum": sorted(ERROR_TYPES), "description": "What it is, for programs."},
    ),
    "GatewayError": _object(
        "What the gateway answers by itself, for clients of either dialect.",
        error=_MESSAGE,
        detail={**_MESSAGE, "description": "The same."},
    ),
}

HEADERS = {
    "X-Request-Id": {"description": "Names this request in our logs.", "required": True, "schema": {"type": "string"}},
    "ETag": {
        "description": "The version of the resource, for `If-Match` and `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "examples": ['"v-3"']},
    },
    "Location": {
        "description": "The URL of what was made.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
    "Cache-Control": {
        "description": "What needs a credential is for whoever sent it alone. A client may keep it beside its `ETag`.",
        "required": True,
        "schema": {"type": "string", "const": "private, no-store"},
    },
    "Link": {
        "description": 'Where a list goes on (RFC 8288): `<URL>; rel="next"`. Absent on the last page. A link with a '
        "`title` is of the list that it names, inside of what is shown; with an `anchor`, inside of the entry whose "
        "URL that is.",
        "schema": {"type": "string"},
    },
    "Help": {
        "description": 'Where `X-Error-Code` is explained (RFC 8288): `<URL>; rel="help"`. The URL may be relative to '
        "the request's.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` on an answer that was given before, to the same request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request is sent again.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {"description": "The scheme to use.", "required": True, "schema": {"type": "string"}},
}

PARAMETERS = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes it safe to send the request again: it happens once. 1 to 255 visible ASCII characters.",
        "schema": {
            "type": "string",
            "format": "idempotency-key",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[!-~]{1,255}$",
        },
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        # Without an example: a page that can be tried out would send it with every change.
        "description": "The `ETag` of the version that is to be changed, quotes included, or several with commas "
        "between them; `*` for any. 412 for another one.",
        "schema": {"type": "string", "format": "entity-tags"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the version that you have, or several: 304, without a body, for the current one.",
        "schema": {"type": "string", "format": "entity-tags"},
    },
}

# The answer of a reading route when the caller has the current version.
KNOWN = {
    "description": "It is the version of `If-None-Match`.",
    "headers": {name: ref("headers", name) for name in ("X-Request-Id", "Cache-Control", "ETag")},
}


def _refusal(description: str, schema: str, sample: Any, codes: Iterable[str], *headers: str) -> Json:
    code = {
        "description": "What it is, for programs: the same in both dialects, and the same tomorrow.",
        "required": True,
        "schema": {"type": "string", "enum": sorted(codes)},
    }
    shared = {name: ref("headers", name) for name in ("X-Request-Id", "Cache-Control", *headers)}
    return {
        "description": description,
        "headers": {"X-Error-Code": code, "Link": ref("headers", "Help"), **shared},
        "content": {JSON: {"schema": ref("schemas", schema), "example": sample}},
    }


def _own(template: Template, kind: str) -> Any:
    """The body of the gateway's own answer of a kind."""
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    return json.loads(responses[kind]["responseTemplates"][JSON])


def _statuses(template: Template) -> dict[str, dict[Code, int]]:
    """The status of each code that can come from the flat dialect, from v1, and from the gateway."""
    found: dict[str, dict[Code, int]] = {
        prefix: {code: api.status(code.kind).value for code in Code if code.kind is not Refusal}
        | {Code.INTERNAL_ERROR: 500}
        for prefix, api in _DIALECTS.items()
    }
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    by_word = {code.word: code for code in Code}
    found["gateway"] = {}
    for kind, response in responses.items():
        word = response["responseParameters"]["gatewayresponse.header.X-Error-Code"].strip("'")
        # A status of its own has every answer but those of the two kinds that stand for all the others.
        if status := response.get("statusCode", {"DEFAULT_5XX": 502}.get(kind)):
            found["gateway"][by_word[word]] = int(status)
    return found


def _codes_of(template: Template, status: int, *sources: str) -> list[str]:
    """The words of the codes that come with a status."""
    statuses = _statuses(template)
    return [code.word for source in sources for code, its in statuses[source].items() if its == status]


def table_of_codes(template: Template) -> str:
    """The codes, with their statuses and what to do, in Markdown."""
    flat, v1, gateway = _statuses(template).values()
    rows = []
    for code in Code:
        own = {each[code] for each in (flat, v1) if code in each}
        if len(own) == 2:
            shown = f"`{flat[code]}`, v1 `{v1[code]}`"
        else:
            shown = ", ".join(f"`{status}`" for status in sorted(own | {gateway[code]} if code in gateway else own))
        rows.append(f"| `{code.word}` | {shown or '`4xx`'} | {ADVICE[code]} |")
    return "\n".join(["| code | status | what to do |", "|---|---|---|", *rows])


def of_gateway(template: Template) -> Json:
    """The answers that come from the gateway alone, or in its form too."""
    return {
        "Unauthorized": _refusal(
            "No credential, none that is valid, two different ones, or one of a suspended or deleted principal: "
            "the message says which of them it is.",
            "GatewayError",
            _own(template, "UNAUTHORIZED"),
            [*_codes_of(template, 401, "gateway"), Code.PRINCIPAL_INACTIVE.word],
            "WWW-Authenticate",
        ),
        "TooManyRequests": _refusal(
            "Too many requests: nothing was done.",
            "GatewayError",
            _own(template, "THROTTLED"),
            _codes_of(template, 429, "gateway"),
            "Retry-After",
        ),
        "BadGateway": _refusal(
            "Our fault. With an `Idempotency-Key` it is safe to send the same again.",
            "GatewayError",
            _own(template, "DEFAULT_5XX"),
            _codes_of(template, 502, "gateway"),
            "Retry-After",
        ),
        "GatewayTimeout": _refusal(
            "It took too long, and may have happened. Send the same again, with the same key.",
            "GatewayError",
            _own(template, "INTEGRATION_TIMEOUT"),
            _codes_of(template, 504, "gateway"),
            "Retry-After",
        ),
    }


_BUSY = "The service is busy. Send the same request again, with the same Idempotency-Key."

# The answers of a dialect: the name of each, what it means and a sample of its message.
REFUSALS = {
    403: ("Forbidden", "Your role does not allow it.", "You do not have access to this project."),
    404: ("NotFound", "It does not exist, or not for you.", "Project not found."),
    409: ("Conflict", "Its state does not allow it.", ""),
    410: (
        "Gone",
        "What was asked for is no longer kept.",
        "Events are kept from 2026-08-24T17:02:19.724Z on, and older ones were asked for. Start again since that time.",
    ),
    412: (
        "PreconditionFailed",
        "`If-Match` names another version.",
        "If-Match names another version than the current one. Read it again.",
    ),
    413: ("ContentTooLarge", "The body is over 256 KB.", "The body may have at most 256 KB."),
    415: (
        "UnsupportedMediaType",
        "The body is not declared as JSON in UTF-8, or has a `Content-Encoding`.",
        "Send the body as Content-Type: application/json, in UTF-8.",
    ),
    500: ("InternalError", "Our fault. With a key it is safe to send the same again.", "Internal server error."),
    503: ("Unavailable", "Busy. Send the same again, with the same key.", _BUSY),
}


def of_dialects(template: Template) -> Json:
    found = {
        "BadRequest": _refusal(
            "Something sent is not acceptable.",
            "FlatError",
            {"error": "projectName: Field required"},
            _codes_of(template, 400, ""),
        ),
        "V1UnprocessableContent": _refusal(
            "Something sent is not acceptable.",
            "V1ValidationError",
            {"detail": [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]},
            _codes_of(template, 422, "V1"),
        ),
    }
    for (prefix, api), field in zip(_DIALECTS.items(), ("error", "detail"), strict=True):
        for status, (name, meaning, message) in REFUSALS.items():
            headers = ("Retry-After",) if status == 503 else ()
            if status == 409:
                message = api.words[Archived]
            codes = _codes_of(template, status, prefix)
            found[f"{prefix}{name}"] = _refusal(meaning, f"{prefix or 'Flat'}Error", {field: message}, codes, *headers)
    return found
