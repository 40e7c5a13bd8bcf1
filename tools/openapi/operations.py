"""One operation of the OpenAPI document: what a route's file declares, and what its models say."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from atrium.ids import is_id, to_uuid
from tools.openapi import JSON, Json, entry, examples, ref
from tools.openapi.answers import KNOWN, REFUSALS
from tools.openapi.schemas import OBJECT, component, description, sent
from tools.openapi.texts import FIELDS, PARAMETERS
from tools.routes import Route

# How Powertools describes its own refusals, which no client of Atrium sees.
_POWERTOOLS = ("HTTPValidationError", "ValidationError", "ResponseValidationError")

# Answers that are no single resource with a version.
_WITHOUT_ETAG = ("Confirmation", "Person", "Reassignment", "Report")

# Answers that show the beginning of lists, which go on behind a Link. A new project's are empty.
_WITH_LISTS = ("Project", "Report", "TaskWithNotes")

# An archived project may be deleted.
_NEVER_IN_CONFLICT = ("project:delete",)

_ARCHIVED = "Refused with 409 while the project is archived."


class Operation:
    """The operation of a route in the document."""

    def __init__(self, route: Route) -> None:
        self.route = route

    @property
    def addressed_by(self) -> str:
        """The field of the answer that stands at the end of the address of what was made."""
        name: str = self.route.served.func.__annotations__["return"].addressed_by
        return name if self.route.prefix else f"_{name}"

    @property
    def _is_conditional(self) -> bool:
        """Whether it changes or deletes one resource of which an answer shows the version."""
        return self.route.writes and self.route.versioned and "201" not in self._operation["responses"]

    @cached_property
    def _found(self) -> Json:
        """The operation that Powertools makes of the route, with the names of this document."""
        text = self.route.module.api.get_openapi_json_schema(openapi_version="3.1.0")
        found: Json = json.loads(
            re.sub(r"(#/components/schemas/)(\w+)", lambda each: each[1] + self._named(each[2]), text)
        )
        return found

    def _named(self, model: str) -> str:
        """`TaskView` is a Task, `Page_TaskView_` a TaskPage; v1's are V1Task and V1TaskPage."""
        return self.route.prefix + re.sub(r"^Page_(\w+?)View_$", r"\1Page", model).removesuffix("View")

    def schemas(self) -> Json:
        """The components that it refers to."""
        if self.route.public:
            return {}
        taken = set(re.findall(r"schemas/(\w+)", json.dumps(self._operation.get("requestBody"))))
        return {name: component(name, schema, name in taken) for name, schema in self._models.items()}

    @cached_property
    def _models(self) -> dict[str, Json]:
        """The schemas of the route's models, by their names in this document."""
        found = self._found["components"]["schemas"].items()
        return {self._named(name): schema for name, schema in found if name not in _POWERTOOLS}

    @property
    def _operation(self) -> Json:
        ((_, operations),) = self._found["paths"].items()
        operation: Json = operations[self.route.method.lower()]
        return operation

    def described(self) -> Json:
        said = {
            "operationId": self.route.id,
            "tags": [self.route.group.name],
            "summary": self.route.summary,
            "description": f"{self._description}\n\nWho may: {self.route.who}.".strip(),
        }
        if self.route.public:
            return {**said, "security": [], "responses": _page(self.route)}
        found = self._operation
        parameters = [self._parameter(each) for each in found.get("parameters", [])]
        if self.route.writes:
            parameters.append(ref("parameters", "IdempotencyKey"))
        if self._is_conditional:
            parameters.append(ref("parameters", "IfMatch"))
        ((success, answer),) = (each for each in found["responses"].items() if each[0].startswith("2"))
        succeeded = self._success(answer, success)
        answers = {success: succeeded}
        if self.route.method == "GET" and "ETag" in succeeded["headers"]:
            parameters.append(ref("parameters", "IfNoneMatch"))
            answers["304"] = KNOWN
        refusals = {str(status): ref("responses", name) for status, name in self._refusals()}
        return {
            **said,
            "parameters": parameters,
            **self._body(found),
            "responses": dict(sorted({**answers, **refusals}.items())),
        }

    @property
    def _description(self) -> str:
        """The route's own, and a sentence that is true of most writes unless the route says more about it."""
        said = self.route.description
        return f"{said} {_ARCHIVED}".strip() if self._may_be_archived and "archived" not in said else said

    @property
    def _may_be_archived(self) -> bool:
        """Whether it changes what an archived project does not let be changed."""
        return (
            self.route.writes and "/projects/{" in self.route.path and self.route.permission not in _NEVER_IN_CONFLICT
        )

    def _body(self, found: Json) -> Json:
        if "requestBody" not in found:
            return {}
        schema = found["requestBody"]["content"][JSON]["schema"]
        return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": self._of(schema)}}}}

    def _parameter(self, found: Json) -> Json:
        name, schema = found["name"], found["schema"]
        if "anyOf" in schema:  # one that may be left out; there is no null in a URL
            (schema,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        words = (
            PARAMETERS.get(name)
            or FIELDS.get(f"{self.route.prefix}.{name}")
            or entry(FIELDS, name, "FIELDS in texts.py")
        )
        # A form that no pattern says: it has a checksum.
        form = {"type": "string", "format": "cursor"} if name == "cursor" else sent(schema)
        if form.get("type") == "array":  # none is sent in the place of an empty one
            form.pop("default", None)
        made = {"name": name, "in": found["in"], "description": words, "schema": form}
        if found["required"]:
            made |= {"required": True, "example": entry(examples.PARAMETERS, name, "PARAMETERS in examples.py")}
            if self.route.prefix and is_id(made["example"]):
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
            "Link": not self.route.prefix and (self._is_paged or (name in _WITH_LISTS and status != "201")),
            "Idempotent-Replayed": self.route.writes,
        }
        answer: Json = {
            "description": description(name, self._models[name]) if name else "Done." if empty else "The entries.",
            "headers": {name: ref("headers", name) for name, applies in headers.items() if applies},
        }
        if not empty:
            shown = {key: value for key, value in schema.items() if key != "title"}
            answer["content"] = {JSON: {"schema": shown, "example": self._sample(schema)}}
        return answer

    def _sample(self, schema: Json) -> Any:
        """An answer of the schema."""
        if self.route.id in examples.ANSWERS:
            return examples.ANSWERS[self.route.id]
        if "items" in schema:
            return [self._sample(schema["items"])]
        return self._of(schema)

    def _of(self, schema: Json) -> Any:
        """A sample of a component: that of examples.py, or its model's own. A page has one entry."""
        name = schema["$ref"].rpartition("/")[2]
        if name in examples.OF:
            return examples.OF[name]
        if sample := self._models[name].get("example"):
            # pydantic sorts it.
            return {field: sample[field] for field in self._models[name]["properties"] if field in sample}
        if name.endswith("Page"):
            return examples.page(self._of(self._models[name]["properties"]["data"]["items"]))
        return entry(examples.OF, name, "OF in examples.py, or an `example` to the model")

    @property
    def _is_paged(self) -> bool:
        return any(each["name"] == "cursor" for each in self._operation.get("parameters", []))

    def _refusals(self) -> Iterator[tuple[int, str]]:
        """The status and the name of each refusal that the route may answer with."""
        in_path = "{" in self.route.path
        sends = self.route.method in ("POST", "PUT", "PATCH")
        asked = any(each["in"] == "query" for each in self._operation.get("parameters", []))
        applies = {
            403: in_path or sends,
            404: in_path,
            409: self._may_be_archived,
            410: False,
            412: self.route.writes,
            413: sends,
            415: sends,
        }
        for status, (name, *_) in REFUSALS.items():
            if applies.get(status, True) or status in self.route.refusals:
                yield status, self.route.prefix + name
        if self.route.prefix:
            yield 422, "V1UnprocessableContent"
        if not self.route.prefix and (self.route.writes or sends or asked):
            yield 400, "BadRequest"
        yield from ((401, "Unauthorized"), (429, "TooManyRequests"), (502, "BadGateway"), (504, "GatewayTimeout"))


def _page(route: Route) -> Json:
    """The answers of a public route."""
    headers = {name: ref("headers", name) for name in ("X-Request-Id", "ETag")}
    of_html = ("text/html; charset=utf-8", {"type": "string"})
    kind, shape = (JSON, OBJECT) if route.path.endswith(".json") else of_html
    return {
        "200": {"description": "The document.", "headers": headers, "content": {kind: {"schema": shape}}},
        "304": {"description": "It is the one of `If-None-Match`.", "headers": headers},
        "429": ref("responses", "TooManyRequests"),
        "502": ref("responses", "BadGateway"),
        "504": ref("responses", "GatewayTimeout"),
    }
