"""`make openapi`: the OpenAPI document of the API, functions/openapi.json.

The routes are template.yaml's. What each takes and answers comes out of the models in its own signature, by its own
resolver. What Atrium does on every route (headers, errors) is added here, and so are the words and the samples: no
function pays for them when it starts.
"""

import importlib
import json
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from pydantic.alias_generators import to_snake
from pydantic.json_schema import PydanticJsonSchemaWarning

from atrium import models
from atrium.api.flat import flat_api
from atrium.api.v1 import v1_api
from atrium.errors import Archived, Code, Refusal
from atrium.ids import ID, is_id, to_uuid
from atrium.text import ANY_TEXT
from local.template import ROOT, Template
from tools import openapi_examples as examples
from tools.openapi_text import FIELDS, INFO, OPERATIONS, PARAMETERS, SCHEMAS, TAGS

DOCUMENT = ROOT / "functions" / "openapi.json"
JSON = "application/json"

Json = dict[str, Any]

# Enumerations that get a name of their own.
_ENUMS = {
    "Phase": models.Phase,
    "TaskStatus": models.TaskStatus,
    "Priority": models.Priority,
    "ProjectStatus": models.Status,
}

# An object of a client's own: any members. Of the strings in it, generators make nothing.
_OBJECT = {"type": "object", "additionalProperties": True}

# What a v1 refusal may call what is wrong: pydantic's words first, then ours.
ERROR_TYPES = (
    *("bool_type", "extra_forbidden", "greater_than_equal", "int_parsing", "int_type", "less_than_equal"),
    *("literal_error", "missing", "string_too_long", "string_too_short", "string_type", "too_long", "uuid_parsing"),
    *("cursor", "datetime_parsing", "description_type", "hours", "idempotency_key", "idempotency_key_reused"),
    *("if_match", "json_invalid", "limit", "not_a_member", "object_type", "string_control", "unknown_principal"),
    "unknown_role",
)

# How Powertools describes its own refusals, which no client of Atrium sees.
_POWERTOOLS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")

# The dialects' refusals are those of any route.
_DIALECTS = {
    "": flat_api(permission=None, access="NoTable"),
    "V1": v1_api(permission=None, access="NoTable"),
}

# Answers that are no single resource with a version.
_WITHOUT_ETAG = ("Confirmation", "Person", "Reassignment", "Report")

# Routes whose answer is no list, and may go on behind a Link.
_CONTINUED = ("GetProject", "UpdateProject", "GetReport", "GetTask")

# A new project has no state that could forbid it, and an archived one may be deleted.
_NEVER_IN_CONFLICT = ("DeleteProject", "V1CreateProject", "V1DeleteProject")

# Fields that hold ids or moments, beside those that are called …_id and …_at.
_IDS = ("_id", "id", "project", "manager", "task", "user", "team", "created_by", "assigned_to")
_MOMENTS = ("at", "deadline", "acquisition_date")

# What Powertools calls the limits of a parameter.
_LIMITS = {"ge": "minimum", "le": "maximum", "minimum": "minimum", "maximum": "maximum"}

_CREDENTIALS = {
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


# ---------------------------------------------------------------- what every route has


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(description: str, **properties: Json) -> Json:
    return {"type": "object", "description": description, "required": list(properties), "properties": properties}


_MESSAGE = {"type": "string", "description": "What is wrong, for people."}

_ERRORS = {
    "FlatError": _object("What a refusal looks like in the flat dialect.", error=_MESSAGE),
    "V1Error": _object("What a refusal looks like in the v1 dialect.", detail=_MESSAGE),
    "V1ValidationError": _object(
        "What is wrong with what was sent, place by place; at most twenty places.",
        detail={"type": "array", "minItems": 1, "items": _ref("schemas", "V1ErrorDetail")},
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

_HEADERS = {
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

_PARAMETERS = {
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

# What a reading route answers whose resource is the one that the caller has.
_KNOWN = {
    "description": "It is the version of `If-None-Match`.",
    "headers": {name: _ref("headers", name) for name in ("X-Request-Id", "Cache-Control", "ETag")},
}


def _refusal(description: str, schema: str, sample: Any, codes: Iterable[str], *headers: str) -> Json:
    code = {
        "description": "What it is, for programs: the same in both dialects, and the same tomorrow.",
        "required": True,
        "schema": {"type": "string", "enum": sorted(codes)},
    }
    shared = {name: _ref("headers", name) for name in ("X-Request-Id", "Cache-Control", *headers)}
    return {
        "description": description,
        "headers": {"X-Error-Code": code, "Link": _ref("headers", "Help"), **shared},
        "content": {JSON: {"schema": _ref("schemas", schema), "example": sample}},
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


def _table_of_codes(template: Template) -> str:
    """The codes, with their statuses and what to do, in Markdown."""
    flat, v1, gateway = _statuses(template).values()
    rows = []
    for code in Code:
        own = {each[code] for each in (flat, v1) if code in each}
        if len(own) == 2:
            shown = f"`{flat[code]}`, v1 `{v1[code]}`"
        else:
            shown = ", ".join(f"`{status}`" for status in sorted(own | {gateway[code]} if code in gateway else own))
        rows.append(f"| `{code.word}` | {shown or '`4xx`'} | {code.advice} |")
    return "\n".join(["| code | status | what to do |", "|---|---|---|", *rows])


def _of_gateway(template: Template) -> Json:
    """The answers that come from the gateway alone, or in its form too."""
    return {
        "Unauthorized": _refusal(
            "No credential, none that is valid, or two different ones: the message says which of the two it is.",
            "GatewayError",
            _own(template, "UNAUTHORIZED"),
            _codes_of(template, 401, "gateway"),
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
_REFUSALS = {
    403: ("Forbidden", "Your role does not allow it.", "You do not have access to this project."),
    404: ("NotFound", "It does not exist, or not for you.", "Project not found."),
    409: ("Conflict", "Its state does not allow it.", ""),
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


def _of_dialects(template: Template) -> Json:
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
        for status, (name, meaning, message) in _REFUSALS.items():
            headers = ("Retry-After",) if status == 503 else ()
            if status == 409:
                message = api.words[Archived]
            codes = _codes_of(template, status, prefix)
            found[f"{prefix}{name}"] = _refusal(meaning, f"{prefix or 'Flat'}Error", {field: message}, codes, *headers)
    return found


def _page(name: str) -> Json:
    """The answers of a route for everybody."""
    headers = {name: _ref("headers", name) for name in ("X-Request-Id", "ETag")}
    kind, shape = (JSON, _OBJECT) if name == "GetOpenapi" else ("text/html; charset=utf-8", {"type": "string"})
    return {
        "200": {"description": "The document.", "headers": headers, "content": {kind: {"schema": shape}}},
        "304": {"description": "It is the one of `If-None-Match`.", "headers": headers},
        "429": _ref("responses", "TooManyRequests"),
        "502": _ref("responses", "BadGateway"),
        "504": _ref("responses", "GatewayTimeout"),
    }


# ---------------------------------------------------------------- one route


@dataclass(frozen=True)
class Route:
    """A route of the template: its function's logical id, and what its module says of it."""

    name: str
    method: str
    path: str
    handler: str
    public: bool

    @property
    def prefix(self) -> str:
        return "V1" if self.path.startswith("/v1/") else ""

    @property
    def id(self) -> str:
        """The operation's id: its file's name, with the dialect's in front."""
        *folder, file, _ = self.handler.split(".")
        return f"v1_{file}" if folder == ["v1"] else file

    @property
    def writes(self) -> bool:
        """Whether it changes something: one POST is a question."""
        return self.method != "GET" and self.name != "FindTeamMember"

    @property
    def is_conditional(self) -> bool:
        """Whether it changes or deletes one resource of which an answer shows the version."""
        creates = self.method == "POST" and self.name != "SetTaskStatus"
        return self.writes and not creates and self.name != "RemoveTeamMember"

    @cached_property
    def _found(self) -> Json:
        """What Powertools makes of the route, with the names of this document."""
        module = importlib.import_module(self.handler.rpartition(".")[0])
        text = module.api.get_openapi_json_schema(openapi_version="3.1.0")
        found: Json = json.loads(
            re.sub(r"(#/components/schemas/)(\w+)", lambda each: each[1] + self._named(each[2]), text)
        )
        return found

    def _named(self, model: str) -> str:
        """`TaskView` is a Task, `Page_TaskView_` a TaskPage; v1's are V1Task and V1TaskPage."""
        return self.prefix + re.sub(r"^Page_(\w+?)View_$", r"\1Page", model).removesuffix("View")

    def schemas(self) -> Json:
        """The components that it refers to."""
        if self.public:
            return {}
        sent = set(re.findall(r"schemas/(\w+)", json.dumps(self._operation.get("requestBody"))))
        own = {name: schema for name, schema in self._found["components"]["schemas"].items() if name not in _POWERTOOLS}
        return {self._named(name): _component(self._named(name), own[name], self._named(name) in sent) for name in own}

    @property
    def _operation(self) -> Json:
        ((_, operations),) = self._found["paths"].items()
        operation: Json = operations[self.method.lower()]
        return operation

    def operation(self) -> Json:
        text = OPERATIONS[self.name]
        said = {
            "operationId": self.id,
            "tags": [text.tag],
            "summary": text.summary,
            "description": f"{text.more}\n\nWho may: {text.who}.".strip(),
        }
        if self.public:
            return {**said, "security": [], "responses": _page(self.name)}
        found = self._operation
        parameters = [self._parameter(each) for each in found.get("parameters", [])]
        if self.writes:
            parameters.append(_ref("parameters", "IdempotencyKey"))
        if self.is_conditional:
            parameters.append(_ref("parameters", "IfMatch"))
        ((success, answer),) = (each for each in found["responses"].items() if each[0].startswith("2"))
        succeeded = self._success(answer, success)
        answers = {success: succeeded}
        if self.method == "GET" and "ETag" in succeeded["headers"]:
            parameters.append(_ref("parameters", "IfNoneMatch"))
            answers["304"] = _KNOWN
        refusals = {str(status): _ref("responses", name) for status, name in self._refusals()}
        return {
            **said,
            "parameters": parameters,
            **self._body(found),
            "responses": dict(sorted({**answers, **refusals}.items())),
        }

    def _body(self, found: Json) -> Json:
        if "requestBody" not in found:
            return {}
        schema = found["requestBody"]["content"][JSON]["schema"]
        sample = examples.OF[schema["$ref"].rpartition("/")[2]]
        return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": sample}}}}

    def _parameter(self, found: Json) -> Json:
        name, schema = found["name"], found["schema"]
        if "anyOf" in schema:  # one that may be left out; there is no null in a URL
            (schema,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        words = PARAMETERS.get(name) or FIELDS.get(f"{self.prefix}.{name}") or FIELDS[name]
        # A form that no pattern says: it has a checksum.
        form = {"type": "string", "format": "cursor"} if name == "cursor" else _sent(schema)
        made = {"name": name, "in": found["in"], "description": words, "schema": form}
        if found["required"]:
            made |= {"required": True, "example": examples.PARAMETERS[name]}
            if self.prefix and is_id(made["example"]):
                made["example"] = to_uuid(made["example"])
        return made

    def _success(self, found: Json, status: str) -> Json:
        schema = found["content"][JSON]["schema"]
        empty = schema.get("type") == "null"
        name = schema.get("$ref", "").rpartition("/")[2]
        headers = {
            "X-Request-Id": True,
            "Cache-Control": True,
            "Location": status == "201",
            "ETag": name and not name.endswith("Page") and name not in _WITHOUT_ETAG,
            "Link": not self.prefix and (self._is_paged or self.name in _CONTINUED),
            "Idempotent-Replayed": self.writes,
        }
        answer: Json = {
            "description": SCHEMAS[name.removeprefix("V1")] if name else "Done." if empty else "The entries.",
            "headers": {name: _ref("headers", name) for name, applies in headers.items() if applies},
        }
        if not empty:
            shown = {key: value for key, value in schema.items() if key != "title"}
            answer["content"] = {JSON: {"schema": shown, "example": self._sample(schema)}}
        return answer

    def _sample(self, schema: Json) -> Any:
        """An answer of the schema."""
        if self.id in examples.ANSWERS:
            return examples.ANSWERS[self.id]
        if "items" in schema:
            return [self._sample(schema["items"])]
        return examples.OF[schema["$ref"].rpartition("/")[2]]

    @property
    def _is_paged(self) -> bool:
        return any(each["name"] == "cursor" for each in self._operation.get("parameters", []))

    def _refusals(self) -> Iterator[tuple[int, str]]:
        """The status and the name of each refusal that the route may answer with."""
        in_path = "{" in self.path
        sends = self.method in ("POST", "PUT", "PATCH")
        asked = any(each["in"] == "query" for each in self._operation.get("parameters", []))
        applies = {
            403: in_path or sends,
            404: in_path or self.name == "V1GetMe",
            409: self.writes and in_path and self.name not in _NEVER_IN_CONFLICT,
            412: self.writes,
            413: sends,
            415: sends,
        }
        yield from (
            (status, self.prefix + name) for status, (name, *_) in _REFUSALS.items() if applies.get(status, True)
        )
        if self.prefix:
            yield 422, "V1UnprocessableContent"
        if not self.prefix and (self.writes or sends or asked):
            yield 400, "BadRequest"
        yield from ((401, "Unauthorized"), (429, "TooManyRequests"), (502, "BadGateway"), (504, "GatewayTimeout"))


# ---------------------------------------------------------------- schemas


def _component(name: str, schema: Json, is_sent: bool) -> Json:
    bare = name.removeprefix("V1")
    made = {
        "type": "object",
        "description": SCHEMAS[bare],
        "required": schema.get("required", []) if is_sent else list(schema["properties"]),
        "properties": {
            field: _optional({**(_sent(each) if is_sent else _answered(name, field, each)), "description": words})
            for field, each in schema["properties"].items()
            for words in (_words(name, field),)
        },
    }
    if "additionalProperties" in schema:
        made["additionalProperties"] = schema["additionalProperties"]
    if not made["required"]:
        del made["required"]
        made["minProperties"] = 1
    return made


def _optional(field: Json) -> Json:
    """The same, with its default in words: generators take a field with one for a field that is always there."""
    if (default := field.pop("default", None)) is not None:
        field["description"] += f" Left out, it is `{json.dumps(default)}`."
    return field


def _words(schema: str, field: str) -> str:
    bare = schema.removeprefix("V1")
    names = (f"{schema}.{field}", f"{bare}.{to_snake(field)}", to_snake(field), field)
    return next(FIELDS[name] for name in names if name in FIELDS)


def _sent(schema: Json) -> Json:
    """A value that a client sends. Powertools writes limits of parameters its own way, and whole numbers as floats."""
    if "anyOf" in schema:
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
        return {**rest, "anyOf": [_sent(each) for each in schema["anyOf"]]}
    made = {_LIMITS.get(key, key): value for key, value in schema.items() if key != "title"}
    for limit in _LIMITS.values():
        if limit in made:
            made[limit] = int(made[limit])
    if made.get("type") == "string" and not {"enum", "format", "pattern"} & made.keys():
        made |= ANY_TEXT
    return _shared(made)


def _answered(schema: str, field: str, found: Json) -> Json:
    """A value that is answered: the form of an id or a moment follows from its field's name."""
    if "anyOf" in found:
        return {"anyOf": [_answered(schema, field, each) for each in found["anyOf"]]}
    if "items" in found:
        return {"type": "array", "items": _answered(schema, field, found["items"])}
    made = {
        key: value for key, value in found.items() if key in ("type", "enum", "const", "$ref", "additionalProperties")
    }
    name = to_snake(field)
    if made == {"type": "string"} and (schema, name) == ("V1Task", "deadline"):
        return {"anyOf": [{**made, "format": "date"}, {**made, "format": "date-time"}]}
    if made == {"type": "string"} and (name in _MOMENTS or name.endswith("_at")):
        made["format"] = "date-time"
    if made == {"type": "string"} and (name in _IDS or name.endswith("_id")):
        of_v1 = schema.startswith("V1") and (schema, field) != ("V1Me", "id")
        made |= {"format": "uuid"} if of_v1 else {"pattern": f"^{ID}$"}
    return _shared(made)


def _shared(schema: Json) -> Json:
    """The same, by its name if it has one."""
    if schema == _OBJECT:
        return _ref("schemas", "V1ProjectDescription")
    for name, choice in _ENUMS.items():
        if schema.get("enum") == list(get_args(choice)):
            return {**_ref("schemas", name), **{key: schema[key] for key in schema.keys() & {"default"}}}
    return schema


# ---------------------------------------------------------------- the document


def routes(template: Template) -> list[Route]:
    """Those of the document that API Gateway imports, not the preflights, nor HEAD, which is GET without
    the body (RFC 9110, 9.3.2); in the order of what is said of them."""
    found = []
    for path, operations in template.api["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "aws_proxy" and method != "head":
                name = integration["uri"].rpartition(":")[2].partition("/")[0]
                public = operation["security"] == [{"NONE": []}]
                found.append(Route(name, method.upper(), path, template.functions[name].handler, public))
    return sorted(found, key=lambda route: list(OPERATIONS).index(route.name))


def _links(made: Route, all_routes: list[Route]) -> Json:
    """What can be done next with what a route has made, by operation."""
    id = "principal_id" if made.name == "V1AddMember" else "id" if made.prefix else "_id"
    found = {}
    for route in all_routes:
        if part := re.fullmatch(re.escape(made.path) + r"/\{(\w+)\}", route.path):
            given = {name: f"$request.path.{name}" for name in re.findall(r"\{(\w+)\}", made.path)}
            found[route.id] = {"operationId": route.id, "parameters": {**given, part[1]: f"$response.body#/{id}"}}
    return found


def document() -> Json:
    """The OpenAPI document."""
    # A default that is JSON text stands in no schema, and needs not.
    warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
    template = Template()
    paths: Json = {}
    described = {"V1ProjectDescription": {"description": SCHEMAS["ProjectDescription"], **_OBJECT}}
    schemas = (
        _ERRORS | described | {name: {"type": "string", "enum": list(get_args(each))} for name, each in _ENUMS.items()}
    )
    all_routes = routes(template)
    for route in all_routes:
        operation = paths.setdefault(route.path, {})[route.method.lower()] = route.operation()
        schemas |= route.schemas()
        if "201" in operation["responses"]:
            operation["responses"]["201"]["links"] = _links(route, all_routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atrium",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "summary": "Projects for teams, in two dialects over one store.",
            "description": INFO.replace("CODES\n", _table_of_codes(template) + "\n"),
            "contact": {"name": "The team that runs this deployment"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # What is served has the absolute URL in its place (functions/get_openapi.py): behind a stage, on a domain of
        # one's own, or on a laptop.
        "servers": [{"url": ".", "description": "Where this document comes from"}],
        "security": [{"BearerToken": []}, {"ApiKey": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": _CREDENTIALS,
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": _of_gateway(template) | _of_dialects(template),
            "schemas": dict(sorted(schemas.items())),
        },
    }


def main() -> None:
    DOCUMENT.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
