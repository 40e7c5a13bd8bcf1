"""The resolver of a route: routing, running, committing, and refusing.

Each module has a resolver of its own, so that a function serves its own route and nothing else. Powertools matches the
route and validates the fields. The body is parsed and the answer rendered here, since Powertools' own parser and
serialiser would round numbers; and the writes of a route are committed here, together with its answer.
"""

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar, Unpack, get_args

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Request, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.compat import field_annotation_is_sequence
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from atrium import documents
from atrium.api.answer import Answer, outcome, proxy_answer
from atrium.api.facts import Facts
from atrium.api.headers import help_with_errors, is_known
from atrium.api.identity import caller_of
from atrium.api.request import (
    about_headers,
    conditions,
    idempotency,
    json_object,
    message_of,
    prepared,
    without_cursor,
)
from atrium.api.room import fits
from atrium.api.views import Model
from atrium.cold_start import warm
from atrium.errors import (
    Code,
    Conflict,
    Detail,
    Forbidden,
    Gone,
    Inactive,
    Invalid,
    NotFound,
    Refusal,
    TooLarge,
    Unavailable,
    VersionRefused,
    WrongMediaType,
)
from atrium.models import ENROLS, Caller
from atrium.settings import settings
from atrium.store.access import enrols_only
from atrium.store.engine.scope import scope
from atrium.store.engine.table import connect, table
from atrium.store.engine.work import Conditions, Work
from atrium.telemetry import Spent, answered, say, what_failed

# The status of each refusal. A dialect may answer Invalid with another one.
STATUS: dict[type[Refusal], HTTPStatus] = {
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Inactive: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Gone: HTTPStatus.GONE,
    VersionRefused: HTTPStatus.PRECONDITION_FAILED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

# Headers that a browser's script may read.
EXPOSED = "ETag, Idempotent-Replayed, Link, Location, Retry-After, X-Error-Code, X-Request-Id"


class Api(APIGatewayRestResolver):
    """The resolver of one route. A dialect is a subclass, which says how a refusal looks."""

    # The prefix of the dialect's ETags. Each dialect counts versions its own way, so a tag of one names no version in
    # the other.
    tags: ClassVar[str]
    # A refusal's message, where the dialects offer different ways out of it.
    words: ClassVar[Mapping[type[Refusal], str]]

    def __init__(self, **facts: Unpack[Facts]) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=json_object)
        self.facts = facts
        # Gives fields of an answer that are kept in none, by the caller and the body: what can be derived again.
        self.derive: Callable[[Caller, Mapping[str, Any]], Mapping[str, str]] | None = None
        # Counters of the current request.
        self.spent = Spent()
        self.refused_cursor = False
        # Powertools has no public way to leave the answer to us (decision 0004). It stores the signature that it found
        # on the middleware: a function keeps it, a bound method would be inspected again in each request.
        self._response_validation_middleware = lambda app, next_middleware: self._run(app, next_middleware)  # type: ignore[assignment]
        self.exception_handler(Refusal)(self.refuse)
        self.exception_handler(RequestValidationError)(lambda error: self.refuse(self._invalid(error)))

    def route(self, *args: Any, **kwargs: Any) -> Any:
        register = super().route(*args, **kwargs)

        def registered(function: Callable[..., Any]) -> Any:
            # Powertools builds the models of the request. Those of the answer would be built by the first answer.
            answered_with = function.__annotations__.get("return")
            for model in (answered_with, *get_args(answered_with)):
                if isinstance(model, type) and issubclass(model, Model):
                    model.model_rebuild()
            return register(function)

        return registered

    @cached_property
    def declared(self) -> dict[str, bool]:
        """The names of the query parameters of the route, with whether one may be sent several times."""
        (route,) = (*self._static_routes, *self._dynamic_routes)
        parameters = route.dependant.query_params
        return {each.alias: field_annotation_is_sequence(each.field_info.annotation) for each in parameters}

    # ------------------------------------------------------------ what a dialect says

    # Whether a query parameter that the route does not have is refused.
    refuses_unknown_parameters = False

    def judge(self, refusal: Refusal) -> Refusal:
        """The refusal that the dialect documents in the place of this one."""
        return refusal

    def status(self, refusal: type[Refusal]) -> HTTPStatus:
        return next(STATUS[kind] for kind in refusal.__mro__ if kind in STATUS)

    def message(self, refusal: Refusal) -> str:
        return self.words.get(type(refusal)) or message_of(refusal)

    @abstractmethod
    def error(self, refusal: Refusal) -> dict[str, Any]:
        """The body of a refusal."""

    # ------------------------------------------------------------ answering

    def refuse(self, refusal: Refusal) -> Response[str]:
        refusal = self.judge(about_headers(refusal))
        headers = {"X-Error-Code": refusal.code.word}
        if isinstance(refusal, Unavailable):
            headers["Retry-After"] = "1"
        body = documents.render(self.error(refusal))
        if isinstance(refusal, Inactive):
            # In the form in which the gateway refuses a credential.
            headers["WWW-Authenticate"] = "Bearer"
            body = documents.render({"error": refusal.message, "detail": refusal.message})
        return Response(self.status(type(refusal)), "application/json", body, headers)

    def fail(self) -> Response[str]:
        """The answer to an internal error."""
        fault = Refusal("Internal server error.", Code.INTERNAL_ERROR)
        headers = {"X-Error-Code": fault.code.word}
        return Response(500, "application/json", documents.render(self.error(fault)), headers)

    def _run(self, app: "Api", next_middleware: NextMiddleware) -> Response[str]:
        """Runs the route and commits its writes together with its answer. A route that loses a race runs again, from
        its reads on.
        """
        event = self.current_event.raw_event
        caller = caller_of(event["requestContext"]["authorizer"])
        writes = event["httpMethod"] != "GET"
        if unknown := self._unknown_parameters():
            raise Invalid(*unknown)
        # Parsed also for a route that takes no body, so that every route refuses a body that is not JSON.
        body = self.current_event.json_body if event["body"] else None
        if caller.narrowed == ENROLS and not self.facts.get("enrols"):
            raise enrols_only()
        with scope(caller.tenant, credentials=self.facts.get("credentials", False)) as self.spent:
            work = Work(
                table(),
                caller,
                idempotency(event, body) if writes else None,
                conditions(event, self.tags) if writes else Conditions(),
                event["requestContext"]["requestId"],
            )
            self.append_context(work=work)  # type: ignore[no-untyped-call]
            done = work.run(lambda: outcome(next_middleware(app), event, self.tags, self.declared))
        answer = Answer(**done.answer)
        headers = answer.headers | ({"Idempotent-Replayed": "true"} if done.replayed else {})
        if event["httpMethod"] == "GET" and (etag := headers.get("ETag")) and is_known(event, etag):
            return Response(HTTPStatus.NOT_MODIFIED, body="", headers={"ETag": etag})
        if not answer.body:
            # API Gateway takes a string, not None.
            return Response(answer.status, body="", headers=headers)
        body = answer.body
        if done.once or self.derive:
            kept = documents.parse(body)
            body = documents.render(kept | done.once | (self.derive(caller, kept) if self.derive else {}))
        return Response(answer.status, "application/json", body, headers)

    # ------------------------------------------------------------ what is wrong with a request

    def _invalid(self, error: RequestValidationError) -> Invalid:
        """The errors that Powertools found, without their `input`, `ctx` and `url`, which repeat what was sent."""
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
        """The names of the query parameters, or of the fields of the body, that the route has."""
        dependant = self.context["_route"].dependant
        if kind == "parameter":
            return sorted(parameter.alias for parameter in dependant.query_params)
        return sorted(name for body in dependant.body_params for name in body.type_.model_fields)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")

# A refusal lists at most this many faults: a body may hold twenty thousand unknown fields.
_MAX_DETAILS = 20


def _place(loc: Iterable[str | int]) -> tuple[str | int, ...]:
    """The place of a fault. A name that a client made up is shown if it is a plain one."""
    return tuple(part if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in loc)


def request_work(request: Request) -> Work:
    """The unit of work of the request that is being answered."""
    work: Work = request.context["work"]
    return work


def lambda_handler(api: Api) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler of the function that serves the route."""
    warm(connect)
    cold = True

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        nonlocal cold
        began = time.perf_counter()
        request_id = event["requestContext"]["requestId"]
        api.spent, api.refused_cursor = Spent(), False
        try:
            request = prepared(event, api.declared)
            reply = api.resolve(request, context)
            if api.refused_cursor:
                # A made-up cursor tells an outsider no more than no cursor: a refusal for another reason goes first.
                without = api.resolve(without_cursor(request), context)
                reply = without if without["statusCode"] >= 400 else reply
        except Refusal as refusal:
            reply = proxy_answer(api.refuse(refusal))
        except Exception as error:
            route = f"{event['httpMethod']} {event['resource']}"
            say("Unhandled", "ERROR", request_id=request_id, route=route, **what_failed(error))
            reply = proxy_answer(api.fail())
        # Lambda would answer 502 instead, and the log would have the status that was meant.
        if not fits(reply):
            route = f"{event['httpMethod']} {event['resource']}"
            say("Unhandled", "ERROR", request_id=request_id, route=route, error=["AnswerTooLarge"])
            reply = proxy_answer(api.fail())
        if reply["statusCode"] >= HTTPStatus.BAD_REQUEST:
            reply["multiValueHeaders"]["Link"] = [help_with_errors(event)]
        replayed = "Idempotent-Replayed" in reply["multiValueHeaders"]
        reply["multiValueHeaders"] |= {
            "X-Request-Id": [request_id],
            # A shared cache does not store answers to requests with Authorization, but does with X-API-Key.
            "Cache-Control": ["private, no-store"],
            "Access-Control-Allow-Origin": [settings().cors_origin],
            "Access-Control-Expose-Headers": [EXPOSED],
        }
        answered(event, reply["statusCode"], replayed, began, api.spent, cold)
        cold = False
        return reply

    return handler
