"""An API Gateway that executes the OpenAPI document that API Gateway imports.

A request is matched to the document's paths, authorized by its authorizer, and answered by its integrations: a Lambda
function behind a proxy integration, or a mock (CORS preflight). The gateway's own errors use the document's gateway
responses.
"""

import fnmatch
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from local.functions import FunctionFailed, FunctionThrottled, FunctionTimedOut, Invoker
from local.template import ACCOUNT, REGION, Function

MAX_BODY_BYTES = 10 * 1024 * 1024
API_ID = "local"

# Status and message of API Gateway's own answers, unless the document has others. AWS documents the kinds but not
# always when each is used. Reports of callers fill the gaps: an authorizer that fails in any way is an
# AuthorizerConfigurationException; an invocation that Lambda turns away is INTEGRATION_FAILURE, status 500; a function
# that fails, exceeds its own timeout or answers nonsense is a 502 without a kind of its own.
_DEFAULTS = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, "Internal server error"),
    "DEFAULT_5XX": (502, "Internal server error"),
    "INTEGRATION_FAILURE": (500, "Internal server error"),
    "INVALID_SIGNATURE": (403, "Authorization header requires 'Credential' parameter."),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Entity Too Large"),
    "UNAUTHORIZED": (401, "Unauthorized"),
}


@dataclass(frozen=True)
class Request:
    """A request as received: `target` is the path and query, percent-encoded; headers in order, repeated ones too."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    request_id: str = ""


class _Own(Exception):
    """Ends a request with the gateway response of this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class _Exchange:
    """One request on its way through the gateway."""

    request: Request
    id: str = field(default_factory=lambda: str(uuid4()))
    resource: str = ""
    parameters: dict[str, str] | None = None
    authorizer: dict[str, str] | None = None

    @property
    def path(self) -> str:
        return self.request.target.partition("?")[0]


class Gateway:
    """Serves one API document, invoking `functions` by their logical ids."""

    def __init__(
        self, document: Mapping[str, Any], functions: Mapping[str, Function], invoke: Invoker, stage: str
    ) -> None:
        self._document = document
        self._functions = functions
        self._invoke = invoke
        self._stage = stage
        # As in API Gateway, a literal segment is preferred to a parameter.
        self._paths = sorted(document["paths"], key=lambda path: [part.startswith("{") for part in path.split("/")])
        self._binary = document.get("x-amazon-apigateway-binary-media-types", [])
        for scheme in document["components"]["securitySchemes"].values():
            if scheme["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] != 0:
                raise ValueError("The laptop edition does not cache what an authorizer said")

    def handle(self, request: Request) -> Reply:
        """The answer to a request. No request, function or authorizer can make it raise."""
        exchange = _Exchange(request)
        try:
            operation = self._match(exchange)
            if len(request.body) > MAX_BODY_BYTES:
                raise _Own("REQUEST_TOO_LARGE")
            for scheme in (name for option in operation.get("security", []) for name in option):
                if scheme != "NONE":  # the translator's word for a route without an authorizer
                    self._authorize(exchange, self._document["components"]["securitySchemes"][scheme])
            integration = operation["x-amazon-apigateway-integration"]
            if integration["type"] == "mock":
                return _mock(exchange, integration)
            return self._proxy(exchange, self._function(integration["uri"]))
        except _Own as own:
            return self._answer(exchange, own.kind)

    # ------------------------------------------------------------ routes

    def _match(self, exchange: _Exchange) -> Mapping[str, Any]:
        # A trailing slash leads to the same resource, and stays in the path that the function receives.
        segments = exchange.path.removesuffix("/").split("/")
        for path in self._paths:
            parameters = _parameters(path.split("/"), segments)
            operation = self._document["paths"][path].get(exchange.request.method.lower())
            if parameters is not None and operation is not None:
                exchange.resource, exchange.parameters = path, parameters or None
                found: Mapping[str, Any] = operation
                return found
        raise _Own("INVALID_SIGNATURE" if exchange.request.header("authorization") else "MISSING_AUTHENTICATION_TOKEN")

    def _function(self, uri: str) -> Function:
        """The function in the URI of an integration or authorizer, `…:function:<name>/invocations`."""
        return self._functions[uri.rpartition(":")[2].partition("/")[0]]

    # ------------------------------------------------------------ authorizer

    def _authorize(self, exchange: _Exchange, scheme: Mapping[str, Any]) -> None:
        event = {**self._event(exchange), "type": "REQUEST", "methodArn": self._arn(exchange)}
        del event["body"], event["isBase64Encoded"]
        try:
            policy = self._invoke(self._function(scheme["x-amazon-apigateway-authorizer"]["authorizerUri"]), event)
        except FunctionFailed as error:
            unauthorized = error.message == "Unauthorized"
            raise _Own("UNAUTHORIZED" if unauthorized else "AUTHORIZER_CONFIGURATION_ERROR") from None
        except FunctionTimedOut:
            raise _Own("AUTHORIZER_CONFIGURATION_ERROR") from None
        try:
            context = {name: _stringified(value) for name, value in policy.get("context", {}).items()}
            exchange.authorizer = {**context, "principalId": policy["principalId"]}
            effects = {
                statement["Effect"]
                for statement in policy["policyDocument"]["Statement"]
                if _covers(statement, self._arn(exchange))
            }
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _Own("AUTHORIZER_CONFIGURATION_ERROR") from None
        if effects != {"Allow"}:
            raise _Own("ACCESS_DENIED")

    def _arn(self, exchange: _Exchange) -> str:
        place = f"{API_ID}/{self._stage}/{exchange.request.method}{exchange.path}"
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{place}"

    # ------------------------------------------------------------ functions

    def _proxy(self, exchange: _Exchange, function: Function) -> Reply:
        try:
            result = self._invoke(function, self._event(exchange))
            return _reply(exchange, result)
        except FunctionThrottled:
            raise _Own("INTEGRATION_FAILURE") from None
        except (FunctionFailed, FunctionTimedOut, _Malformed):
            raise _Own("DEFAULT_5XX") from None

    def _event(self, exchange: _Exchange) -> dict[str, Any]:
        request = exchange.request
        body, encoded = self._body(request)
        return proxy_event(
            resource=exchange.resource,
            path=exchange.path,
            method=request.method,
            parameters=exchange.parameters,
            query=parse_qsl(request.target.partition("?")[2], keep_blank_values=True),
            headers=request.headers,
            source_ip=request.source_ip,
            scheme="http",
            authorizer=exchange.authorizer,
            body=body,
            encoded=encoded,
            id=exchange.id,
            stage=self._stage,
            milliseconds=int(time.time() * 1000),
        )

    def _body(self, request: Request) -> tuple[str | None, bool]:
        """The body, and whether it is in base64, as the document's binary media types are. AWS does not document text
        that is not UTF-8; here it is passed in base64 too, so that functions can refuse it.
        """
        if not request.body:
            return None, False
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if not any(fnmatch.fnmatchcase(kind, pattern) for pattern in self._binary):
            try:
                return request.body.decode(), False
            except UnicodeDecodeError:
                pass
        return b64encode(request.body).decode(), True

    # ------------------------------------------------------------ the gateway's own answers

    def _answer(self, exchange: _Exchange, kind: str) -> Reply:
        own = self._document.get("x-amazon-apigateway-gateway-responses", {})
        status, message = _DEFAULTS[kind]
        fallback = own.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX", {})
        response = own.get(kind, fallback)
        variables = self._variables(exchange, kind, message)
        headers = [("Content-Type", "application/json")]
        for target, source in response.get("responseParameters", {}).items():
            # The laptop edition has no stage in its paths, so relative links have none either.
            value = (
                source[1:-1].replace(f"</{self._stage}/", "</") if source.startswith("'") else variables.get(source, "")
            )
            headers.append((target.removeprefix("gatewayresponse.header."), value))
        template = response.get("responseTemplates", {}).get(
            "application/json", '{"message":$context.error.messageString}'
        )
        body = re.sub(r"\$(context(?:\.\w+)+)", lambda found: variables.get(found[1], ""), template)
        return Reply(int(response.get("statusCode", status)), headers, body.encode(), exchange.id)

    def _variables(self, exchange: _Exchange, kind: str, message: str) -> dict[str, str]:
        """The variables of $context that gateway responses may use."""
        return {
            "context.requestId": exchange.id,
            "context.extendedRequestId": exchange.id,
            "context.httpMethod": exchange.request.method,
            "context.path": exchange.path,
            "context.resourcePath": exchange.resource,
            "context.stage": self._stage,
            "context.identity.sourceIp": exchange.request.source_ip,
            "context.error.message": message,
            "context.error.messageString": json.dumps(message),
            "context.error.responseType": kind,
            **{f"context.authorizer.{name}": value for name, value in (exchange.authorizer or {}).items()},
        }


def proxy_event(
    *,
    resource: str,
    path: str,
    method: str,
    parameters: Mapping[str, str] | None,
    query: Iterable[tuple[str, str]],
    headers: Sequence[tuple[str, str]],
    source_ip: str,
    scheme: str,
    authorizer: Mapping[str, Any] | None,
    body: str | None,
    encoded: bool,
    id: str,
    stage: str,
    milliseconds: int,
) -> dict[str, Any]:
    """The event of a REST API's proxy integration; `milliseconds` since 1970."""
    sent = _gathered([*headers, ("X-Forwarded-For", source_ip), ("X-Forwarded-Proto", scheme)])
    first = {name.lower(): value for name, value in reversed(headers)}
    asked = _gathered(query)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": _last(sent),
        "multiValueHeaders": sent,
        "queryStringParameters": _last(asked),
        "multiValueQueryStringParameters": asked or None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "authorizer": authorizer,
            "domainName": first.get("host", ""),
            "extendedRequestId": id,
            "httpMethod": method,
            "identity": {"sourceIp": source_ip, "userAgent": first.get("user-agent", "")},
            "path": path,
            "protocol": "HTTP/1.1",
            "requestId": id,
            "requestTimeEpoch": milliseconds,
            "resourcePath": resource,
            "stage": stage,
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def _parameters(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    """The decoded path values, or None if the path does not match. An empty segment matches no parameter."""
    if len(pattern) != len(segments):
        return None
    values = {}
    for part, segment in zip(pattern, segments, strict=True):
        value = unquote(segment)
        if part.startswith("{") and value:
            values[part[1:-1]] = value
        elif part != value:
            return None
    return values


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _last(values: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    return {name: given[-1] for name, given in values.items()} or None


def _stringified(value: Any) -> str:
    """Spells a string, number or boolean of an authorizer's context as the string that functions receive."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError("an authorizer's context is flat")


def _covers(statement: Mapping[str, Any], arn: str) -> bool:
    resources = statement["Resource"]
    patterns = [resources] if isinstance(resources, str) else resources
    return any(re.fullmatch(re.escape(each).replace(r"\*", ".*").replace(r"\?", "."), arn) for each in patterns)


def _mock(exchange: _Exchange, integration: Mapping[str, Any]) -> Reply:
    response = integration["responses"]["default"]
    headers = [
        (target.removeprefix("method.response.header."), value[1:-1])
        for target, value in response["responseParameters"].items()
    ]
    return Reply(int(response["statusCode"]), headers, b"", exchange.id)


class _Malformed(Exception):
    """A function's answer does not have the form of a proxy integration."""


def _reply(exchange: _Exchange, result: Any) -> Reply:
    try:
        status = result["statusCode"]
        body = result.get("body")
        many = result.get("multiValueHeaders") or {}
        one = result.get("headers") or {}
        pairs = [(name, value) for name, values in many.items() for value in values]
        pairs += [(name, value) for name, value in one.items() if name not in many]
        if not isinstance(status, int) or not isinstance(body, str | None):
            raise TypeError
        headers = [(name, _stringified(value)) for name, value in pairs]
        text = body or ""
        content = b64decode(text, validate=True) if result.get("isBase64Encoded") else text.encode()
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _Malformed from None
    return Reply(status, headers, content, exchange.id)
