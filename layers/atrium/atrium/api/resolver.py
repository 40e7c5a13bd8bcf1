"""From an API Gateway event to an answer: what the routes of both dialects share.

One resolver a module, so that a function serves its own route and nothing else. Powertools matches the route and
validates what was sent; the body is parsed, the answer rendered and everything committed here, since Powertools' own
parser and serialiser would round numbers.
"""

import binascii
import json
import re
import time
from abc import abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any, ClassVar, Self, TypeVar, Unpack, get_args
from urllib.parse import quote, urlencode

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Request, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, PrivateAttr

from atrium import documents
from atrium.api.facts import Facts
from atrium.api.headers import (
    api_url,
    entity_tags,
    help_with_errors,
    idempotency_key,
    is_encoded,
    is_json,
    is_known,
)
from atrium.api.paging import cursor_behind, position_of
from atrium.api.room import Room, fits
from atrium.cold_start import warm
from atrium.errors import (
    Code,
    Conflict,
    Detail,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    TooLarge,
    Unavailable,
    WrongMediaType,
)
from atrium.ids import canonical
from atrium.models import Caller, Page
from atrium.settings import MAX_BODY_BYTES, settings
from atrium.store.engine.table import connect, table
from atrium.store.engine.wall import Spent, scope
from atrium.store.engine.work import Answer, Conditions, IdempotencyKey, Work
from atrium.telemetry import answered, say, what_failed

# Every refusal's status. A dialect may answer Invalid with another one.
STATUS: dict[type[Refusal], HTTPStatus] = {
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

# Headers of ours that a browser's script may read.
EXPOSED = "ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Error-Code, X-Request-Id"

# How many items of a page may be cut, each of which has a link: API Gateway takes 10 KB of headers, many clients less.
MAX_CUT = 10

ViewT = TypeVar("ViewT", bound="View")


class Model(BaseModel):
    """What is sent or answered. A module has those of many routes, so each is built when its own route is."""

    model_config = ConfigDict(defer_build=True)


class View(Model):
    """What a route answers."""

    # The field whose value is the last part of its address.
    addressed_by: ClassVar[str] = "id"

    _version: int | str | None = PrivateAttr(default=None)
    _continued: dict[str, str | None] | None = PrivateAttr(default=None)

    def at_version(self, version: int | str) -> Self:
        """The same view, with what its ETag shows behind the dialect's prefix: hex digits and hyphens."""
        self._version = version
        return self

    @property
    def version(self) -> int | str | None:
        return self._version

    def continued_at(self, records: str, after: str | None) -> Self:
        """The same view, which does not show all of the project's records of a kind: the Link header says where the
        list goes on behind the one with the id `after`, or begins."""
        self._continued = {**self.continued, records: after}
        return self

    @property
    def continued(self) -> dict[str, str | None]:
        return self._continued or {}

    def text(self) -> documents.Raw:
        """The view as it is answered. Parts of it may be text already."""
        return documents.Raw(documents.render(self.model_dump(by_alias=True, warnings=False)))


class Confirmation(View):
    """An answer that says what was done and shows no data."""

    message: str


class Listing(list[ViewT]):
    """A page of a list: the items of some pages, one behind the other, as many as an answer holds, as text; by itself
    an answer that is a bare array. `after` is the id behind which the next page starts, None on the last one; `cut` has
    of each item that is continued, by its id, where.
    """

    def __init__(self, show: Callable[[Any], ViewT], pages: Iterable[Page[Any]]) -> None:
        super().__init__()
        self.after: str | None = None
        self.cut: dict[str, dict[str, str | None]] = {}
        self._fill(show, pages, Room())

    def _fill(self, show: Callable[[Any], ViewT], pages: Iterable[Page[Any]], room: Room) -> None:
        for page in pages:
            for item in page.items:
                view = show(item)
                text: Any = view.text()
                if (view.continued and len(self.cut) == MAX_CUT) or not room.take(text):
                    return
                self.append(text)
                self.after = item.id
                if view.continued:
                    self.cut[item.id] = view.continued
            self.after = page.after


class PageView(View):
    """A page of a list as an object; `after` as above. Only the answer knows of which list it is, and so the cursor."""

    _after: str | None = PrivateAttr(default=None)

    def ending_at(self, after: str | None) -> Self:
        self._after = after
        return self

    @property
    def after(self) -> str | None:
        return self._after

    @abstractmethod
    def show_cursor(self, cursor: str | None) -> None:
        """Puts the cursor of the next page in, None on the last one."""


class Api(APIGatewayRestResolver):
    """The resolver of one route. A dialect is a subclass that says how a refusal looks, and what its ETags begin with:
    a tag of one dialect is no version to the other, which counts differently."""

    tags: ClassVar[str]
    # A refusal's message, where the dialects offer different ways out of it.
    words: ClassVar[Mapping[type[Refusal], str]]

    def __init__(self, **facts: Unpack[Facts]) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=_object)
        self.facts = facts
        # By the request that is being answered, as far as it came.
        self.spent = Spent()
        self.refused_cursor = False
        # Powertools has no public way to leave the answer to us (decision 0004). It keeps what it finds out about a
        # middleware with the middleware, which a method would refuse: then it finds out again with each request.
        self._response_validation_middleware = lambda app, next_middleware: self._settle(app, next_middleware)  # type: ignore[assignment]
        self.exception_handler(Refusal)(self.refuse)
        self.exception_handler(RequestValidationError)(lambda error: self.refuse(self._invalid(error)))

    def route(self, *args: Any, **kwargs: Any) -> Any:
        register = super().route(*args, **kwargs)

        def registered(function: Callable[..., Any]) -> Any:
            # Powertools builds what is sent. What is answered would be built by the first answer.
            answer = function.__annotations__.get("return")
            for model in (answer, *get_args(answer)):
                if isinstance(model, type) and issubclass(model, Model):
                    model.model_rebuild()
            return register(function)

        return registered

    @property
    def declared(self) -> list[str]:
        """The names of the query parameters of the route."""
        (route,) = (*self._static_routes, *self._dynamic_routes)
        return [parameter.alias for parameter in route.dependant.query_params]

    # ------------------------------------------------------------ what a dialect says

    # Whether a name in a query that the route does not know is refused.
    refuses_unknown_parameters = False

    def judge(self, refusal: Refusal) -> Refusal:
        """The refusal that the dialect's document knows for this one."""
        return refusal

    def status(self, refusal: type[Refusal]) -> HTTPStatus:
        return next(STATUS[kind] for kind in refusal.__mro__ if kind in STATUS)

    def message(self, refusal: Refusal) -> str:
        return self.words.get(type(refusal), refusal.message)

    @abstractmethod
    def error(self, refusal: Refusal) -> dict[str, Any]:
        """The body of a refusal."""

    # ------------------------------------------------------------ answering

    def refuse(self, refusal: Refusal) -> Response[str]:
        refusal = self.judge(refusal)
        headers = {"X-Error-Code": refusal.code.word}
        if isinstance(refusal, Unavailable):
            headers["Retry-After"] = "1"
        body = documents.render(self.error(refusal))
        return Response(self.status(type(refusal)), "application/json", body, headers)

    def fail(self) -> Response[str]:
        """The answer to a fault of ours."""
        fault = Refusal("Internal server error.", Code.INTERNAL_ERROR)
        headers = {"X-Error-Code": fault.code.word}
        return Response(500, "application/json", documents.render(self.error(fault)), headers)

    def _settle(self, app: "Api", next_middleware: NextMiddleware) -> Response[str]:
        """Runs the route, commits what it wrote together with its answer, and again from its read when it lost a
        race.
        """
        event = self.current_event.raw_event
        identity = event["requestContext"]["authorizer"]
        caller = Caller(identity["tenant_id"], identity["principal_id"], identity["kind"])
        writes = event["httpMethod"] != "GET"
        if unknown := self._unknown_parameters():
            raise Invalid(*unknown)
        # Parsed here too, for a route that takes no body: what is not JSON is refused everywhere.
        sent = self.current_event.json_body if event["body"] else None
        with scope(caller.tenant) as self.spent:
            work = Work(
                table(),
                caller,
                _idempotency(event, sent) if writes else None,
                _conditions(event, self.tags) if writes else Conditions(),
            )
            self.append_context(work=work)  # type: ignore[no-untyped-call]
            answer = work.settle(lambda: _answer(next_middleware(app), event, self))
        headers = answer.headers | ({"Idempotent-Replayed": "true"} if answer.replayed else {})
        if event["httpMethod"] == "GET" and (etag := headers.get("ETag")) and is_known(event, etag):
            return Response(HTTPStatus.NOT_MODIFIED, body="", headers={"ETag": etag})
        if not answer.body:
            # The body of a proxy integration's answer is a string.
            return Response(answer.status, body="", headers=headers)
        return Response(answer.status, "application/json", answer.body, headers)

    # ------------------------------------------------------------ what is wrong with a request

    def _invalid(self, error: RequestValidationError) -> Invalid:
        """The errors that Powertools found, without its `input`, `ctx` and `url`, which hold what was sent."""
        self.refused_cursor = any(each["loc"][:2] == ("query", "cursor") for each in error.errors())
        found = [
            Detail(_place(each["loc"]), self._unknown("field"), each["type"])
            if each["type"] == "extra_forbidden"
            else Detail(_place(each["loc"]), each["msg"], each["type"])
            for each in error.errors()[:_MAX_DETAILS]
        ]
        return Invalid(*found, *self._unknown_parameters()[: _MAX_DETAILS - len(found)])

    def _unknown_parameters(self) -> list[Detail]:
        if not self.refuses_unknown_parameters:
            return []
        sent = self.current_event.raw_event.get("multiValueQueryStringParameters") or {}
        unknown = sent.keys() - self._known("parameter")
        told = self._unknown("parameter")
        return [Detail(_place(("query", name)), told, "extra_forbidden") for name in sorted(unknown)[:_MAX_DETAILS]]

    def _unknown(self, kind: str) -> str:
        known = ", ".join(self._known(kind))
        return f"Unknown {kind}. Known: {known}" if known else f"Unknown {kind}. None is known here"

    def _known(self, kind: str) -> list[str]:
        """The names of the parameters in a query, or the fields of a body, that the route knows."""
        dependant = self.context["_route"].dependant
        if kind == "parameter":
            return sorted(parameter.alias for parameter in dependant.query_params)
        return sorted(name for body in dependant.body_params for name in body.type_.model_fields)


# The fields of bodies that are ids.
_IDS = frozenset(("id", "principal_id", "role_id", "manager_id", "assigned_to", "assignedTo"))


def _idempotency(event: Mapping[str, Any], sent: Any) -> IdempotencyKey | None:
    key = idempotency_key(event)
    if key is None:
        return None
    if event["body"]:
        # An id is the same in either case; a name is another one.
        sent = {name: canonical(it) if name in _IDS and isinstance(it, str) else it for name, it in sent.items()}
    asked = [
        event.get("pathParameters"),
        event.get("multiValueQueryStringParameters"),
        documents.canonical(sent) if event["body"] else None,
    ]
    fingerprint = sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return IdempotencyKey((event["httpMethod"], event["resource"], key), fingerprint)


def _conditions(event: Mapping[str, Any], prefix: str) -> Conditions:
    """The versions that If-Match and If-None-Match name for a write. A tag of the other dialect, or of none, names no
    version; nor does a weak one in If-Match. Raises Invalid."""

    def versions(name: str, tag: str) -> frozenset[str] | None:
        sent = entity_tags(event, name)
        if sent is None:
            return None
        return frozenset(sent if sent == ["*"] else (found[1] for each in sent if (found := re.fullmatch(tag, each))))

    version = f'"{prefix}-([0-9a-f-]+)"'
    return Conditions(versions("If-Match", version), versions("If-None-Match", f"(?:W/)?{version}"))


def request_work(request: Request) -> Work:
    """The unit of work of the request that is being answered."""
    work: Work = request.context["work"]
    return work


def lambda_handler(api: Api) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The function's handler."""
    warm(connect)
    cold = True

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        nonlocal cold
        began = time.perf_counter()
        request_id = event["requestContext"]["requestId"]
        api.spent, api.refused_cursor = Spent(), False
        try:
            prepared = _prepared(event, api.declared)
            answer = api.resolve(prepared, context)
            if api.refused_cursor:
                # A made-up cursor tells an outsider no more than none.
                without = api.resolve(_without_cursor(prepared), context)
                answer = without if without["statusCode"] >= 400 else answer
        except Refusal as refusal:
            answer = _wire(api.refuse(refusal))
        except Exception as error:
            route = f"{event['httpMethod']} {event['resource']}"
            say("Unhandled", "ERROR", request_id=request_id, route=route, **what_failed(error))
            answer = _wire(api.fail())
        # Lambda would make a 502 of it, and the line would tell what it was meant to be.
        if not fits(answer):
            route = f"{event['httpMethod']} {event['resource']}"
            say("Unhandled", "ERROR", request_id=request_id, route=route, error=["AnswerTooLarge"])
            answer = _wire(api.fail())
        if answer["statusCode"] >= HTTPStatus.BAD_REQUEST:
            answer["multiValueHeaders"]["Link"] = [help_with_errors(event)]
        replayed = "Idempotent-Replayed" in answer["multiValueHeaders"]
        answer["multiValueHeaders"] |= {
            "X-Request-Id": [request_id],
            # A shared cache keeps what Authorization was sent for to itself, but knows nothing of X-API-Key.
            "Cache-Control": ["private, no-store"],
            "Access-Control-Allow-Origin": [settings().cors_origin],
            "Access-Control-Expose-Headers": [EXPOSED],
        }
        answered(event, answer["statusCode"], replayed, began, api.spent, cold)
        cold = False
        return answer

    return handler


# ---------------------------------------------------------------- the request


def _prepared(event: Mapping[str, Any], declared: Sequence[str]) -> dict[str, Any]:
    """The event with its path made of the route and the values in it, percent-encoded, so that the one route of the
    function always matches and judges the values itself; with its ids in lower case, and a list's cursor as the
    position that it stands for; and with its body as text. Raises Refusal."""
    ids = {name: canonical(id) for name, id in (event.get("pathParameters") or {}).items()}
    body = _text(event) if event["httpMethod"] in ("POST", "PUT", "PATCH") and event.get("body") else None
    # Powertools would judge the content type again, by its own narrower rule.
    headers = {name: value for name, value in (event.get("headers") or {}).items() if name.lower() != "content-type"}
    query = event.get("multiValueQueryStringParameters")
    if query and "cursor" in query and "cursor" in declared:
        listed = _listed(event["resource"], ids, _own_query(event, declared))
        query = {**query, "cursor": [position_of(cursor, listed) for cursor in query["cursor"]]}
    return {
        **event,
        "path": _filled(event["resource"], ids),
        "pathParameters": ids,
        "headers": headers,
        "multiValueQueryStringParameters": query,
        "body": body,
        "isBase64Encoded": False,
    }


def _own_query(event: Mapping[str, Any], declared: Sequence[str]) -> dict[str, str]:
    """The parameters that were sent, of those that the route has."""
    sent = event.get("multiValueQueryStringParameters") or {}
    return {name: values[-1] for name, values in sent.items() if name in declared}


def _listed(resource: str, ids: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The list that a cursor is bound to: its path and filters, but not the length of its pages."""
    filters = sorted((name, value) for name, value in query.items() if name not in ("limit", "cursor"))
    return f"{_filled(resource, ids)}?{urlencode(filters, errors='replace')}"


def _filled(resource: str, values: Mapping[str, str]) -> str:
    """A route with values in the place of its parameters."""
    for name, value in values.items():
        resource = resource.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
    return resource


def _without_cursor(event: Mapping[str, Any]) -> dict[str, Any]:
    names = ("queryStringParameters", "multiValueQueryStringParameters")
    queries = {name: {key: it for key, it in (event.get(name) or {}).items() if key != "cursor"} for name in names}
    return {**event, **queries}


def _text(event: Mapping[str, Any]) -> str:
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


def _object(text: str) -> dict[str, Any]:
    """The body. Raises Invalid."""
    try:
        value = documents.parse(text)
    except documents.NotJson as error:
        raise Invalid(Detail(("body",), str(error), "json_invalid")) from None
    if not isinstance(value, dict):
        raise Invalid(Detail(("body",), "Must be a JSON object", "object_type"))
    return value


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")

# How much of what is wrong a refusal tells: a body may hold twenty thousand unknown fields.
_MAX_DETAILS = 20


def _place(loc: Iterable[str | int]) -> tuple[str | int, ...]:
    """Where something is wrong; a name that a client made up is shown if it is a plain one."""
    return tuple(part if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in loc)


# ---------------------------------------------------------------- the answer


def _answer(response: Response[Any], event: Mapping[str, Any], api: Api) -> Answer:
    view = response.body
    ids = event.get("pathParameters") or {}
    headers: dict[str, str] = {}
    if isinstance(view, Listing):
        if links := _links(view, event, _own_query(event, api.declared)):
            headers["Link"] = ", ".join(links)
        body = documents.render(list(view))
    elif isinstance(view, View):
        if view.version is not None:
            headers["ETag"] = f'"{api.tags}-{view.version}"'
        if response.status_code == HTTPStatus.CREATED:
            headers["Location"] = _location(event, getattr(view, view.addressed_by))
        if view.continued:
            project = event["resource"].removesuffix("/report")
            lists = {name: _page(event, f"{project}/{name}", ids, after, {}) for name, after in view.continued.items()}
            headers["Link"] = ", ".join(f'<{url}>; rel="next"; title="{name}"' for name, url in lists.items())
        if isinstance(view, PageView):
            listed = _listed(event["resource"], ids, _own_query(event, api.declared))
            view.show_cursor(cursor_behind(view.after, listed) if view.after is not None else None)
        body = view.text()
    else:
        body = ""
    return Answer(response.status_code, body, headers, confirms=view is None or isinstance(view, Confirmation))


def _location(event: Mapping[str, Any], id: str) -> str:
    """The URL of what a request to a list has made."""
    return address(event, event["resource"] + "/{made}", {**(event.get("pathParameters") or {}), "made": id})


def _links(listing: Listing[Any], event: Mapping[str, Any], query: Mapping[str, str]) -> list[str]:
    """The next page of a list, and where each of its items that is cut goes on (RFC 8288)."""
    ids = event.get("pathParameters") or {}
    links = []
    if listing.after is not None:
        links.append(f'<{_page(event, event["resource"], ids, listing.after, query)}>; rel="next"')
    item = f"{event['resource']}/{{item}}"
    for id, lists in listing.cut.items():
        anchor = address(event, item, {**ids, "item": id})
        for name, after in lists.items():
            url = _page(event, f"{item}/{name}", {**ids, "item": id}, after, {})
            links.append(f'<{url}>; rel="next"; title="{name}"; anchor="{anchor}"')
    return links


def _page(
    event: Mapping[str, Any], resource: str, ids: Mapping[str, str], after: str | None, query: Mapping[str, str]
) -> str:
    """The URL of a page of a list with these parameters, behind the item with the id `after`."""
    if after is not None:
        query = {**query, "cursor": cursor_behind(after, _listed(resource, ids, query))}
    url = address(event, resource, ids)
    return f"{url}?{urlencode(query)}" if query else url


def address(event: Mapping[str, Any], resource: str, ids: Mapping[str, str]) -> str:
    """The absolute URL of a resource of this API: a route, such as `/projects/{id}`, with these ids in it."""
    return api_url(event) + _filled(resource, ids)


def _wire(response: Response[str]) -> dict[str, Any]:
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": {name: [str(value)] for name, value in response.headers.items()},
    }
