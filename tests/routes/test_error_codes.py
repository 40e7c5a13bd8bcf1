"""Every refusal has an error code, in both dialects; a request shows each code of the table."""

import json
import re
from typing import Any

import pytest

from atrium.errors import Code
from local.gateway import Gateway, Request
from local.template import Template
from tests.support.client import CODES, MISSING, World
from tests.support.refusals import MEETINGS, NEVER_MET
from tests.support.requests import EVERY_ROUTE, FOR_EVERYONE, a_project
from tools.openapi import DOCUMENT
from tools.openapi.advice import ADVICE

# The section of the reference that the Link leads to.
ERRORS: str = json.loads(DOCUMENT.read_text())["info"]["description"].partition("\n## Errors\n")[2]


def test_each_code_has_a_request_or_a_reason_without() -> None:
    assert MEETINGS.keys() | NEVER_MET.keys() == CODES
    assert not MEETINGS.keys() & NEVER_MET.keys()


@pytest.mark.parametrize("code", MEETINGS)
def test_refusal_has_its_code_in_a_header_and_an_unchanged_body(shared: World, code: str) -> None:
    told = re.search(rf"^\| `{code}` \| (.*?) \|", ERRORS, re.MULTILINE)
    assert told is not None
    found = list(MEETINGS[code](shared))
    assert {status for _, status, _ in found} <= {int(status) for status in re.findall(r"\d+", told[1])}
    for answer, status, body in found:
        assert (answer.status, answer.body, answer.headers["x-error-code"]) == (status, body, code)
        assert list(answer.body) == list(body)
        assert "X-Error-Code" in answer.headers["access-control-expose-headers"].split(", ")


@pytest.mark.parametrize("route", EVERY_ROUTE)
def test_refusals_of_every_route_have_code_and_help_link(shared: World, route: str) -> None:
    method, path, body = EVERY_ROUTE[route](shared, a_project(shared))
    sent = MISSING if body is None else body
    stranger = shared(method, path, sent, by=None)
    assert (stranger.headers["x-error-code"], stranger.headers["link"]) == (
        "unauthorized",
        '</docs#errors>; rel="help"',
    )
    refused = shared(method, path, sent, by="outsider", tenant="globex")
    if refused.status < 400:  # routes for every caller
        assert route in FOR_EVERYONE
        assert "x-error-code" not in refused.headers
        return
    if path == "/v1/tenant":
        code = "tenant_update_required"
    elif path == "/v1/spaces":
        code = "space_create_required"
    elif path.startswith("/v1/webhooks"):
        code = "webhook_manage_required"
    elif path.startswith("/v1/events"):
        code = "event_read_required"
    elif re.match("/v1/principals/[^/]+/credentials", path):
        code = "credential_manage_required"
    elif path.startswith("/v1/principals"):
        code = "principal_manage_required"
    elif "/projects/" in path:
        code = "project_not_found"
    else:
        # A path without any space means the default one of the caller's own tenant.
        code = "space_not_found" if path.startswith("/v1/spaces/") else "project_read_required"
    assert (refused.headers["x-error-code"], refused.headers["link"]) == (
        code,
        '<http://api.test/docs#errors>; rel="help"',
    )


def test_successful_answer_has_no_code(shared: World) -> None:
    project = shared.new_project()
    shown = shared("GET", project)
    known = shared("GET", project, headers={"If-None-Match": shown.headers["etag"]})
    assert [shown.status, known.status] == [200, 304]
    for answer in (shown, known, shared("GET", "/openapi.json", by=None), shared("OPTIONS", "/projects", by=None)):
        assert "x-error-code" not in answer.headers
        assert "link" not in answer.headers


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, "</prod/docs#errors>"),
        ({"Stage": "v2"}, "</v2/docs#errors>"),
        ({"DomainName": "api.example.com"}, "<https://api.example.com/docs#errors>"),
    ],
)
def test_gateway_responses_have_codes_and_help_link(given: dict[str, str], where: str) -> None:
    responses = Template(**given).api["x-amazon-apigateway-gateway-responses"]
    said = {kind: response["responseParameters"] for kind, response in responses.items()}
    assert {header["gatewayresponse.header.Link"] for header in said.values()} == {f"'{where}; rel=\"help\"'"}
    assert {kind: header["gatewayresponse.header.X-Error-Code"].strip("'") for kind, header in said.items()} == {
        "DEFAULT_4XX": "request_refused",
        "DEFAULT_5XX": "internal_error",
        "UNAUTHORIZED": "unauthorized",
        "ACCESS_DENIED": "several_credentials",
        "MISSING_AUTHENTICATION_TOKEN": "route_not_found",
        "INVALID_SIGNATURE": "route_not_found",
        "RESOURCE_NOT_FOUND": "route_not_found",
        "REQUEST_TOO_LARGE": "body_too_large",
        "UNSUPPORTED_MEDIA_TYPE": "media_type_unsupported",
        "THROTTLED": "too_many_requests",
        "AUTHORIZER_FAILURE": "try_again",
        "AUTHORIZER_CONFIGURATION_ERROR": "try_again",
        "INTEGRATION_FAILURE": "try_again",
        "INTEGRATION_TIMEOUT": "timed_out",
    }


def test_help_link_has_the_stage_of_the_request(template: Template, shared: World) -> None:
    assert shared.gateway is not None
    invoke = shared.gateway._invoke

    def staged(function: Any, event: Any) -> Any:
        if "requestContext" in event:
            event["requestContext"]["path"] = f"/prod{event['path']}"
        return invoke(function, event)

    made = Gateway(template.api, template.functions, staged, template.stage)
    token = [("Authorization", f"Bearer {shared.principal('owner')['token']}"), ("Host", "api.test")]
    reply = made.handle(Request("GET", "/projects/x", token))
    assert dict(reply.headers)["Link"] == '<http://api.test/prod/docs#errors>; rel="help"'


def test_each_code_has_advice() -> None:
    without = [code.name for code in Code if not ADVICE.get(code)]
    assert not without, f"Say in tools/openapi/advice.py what a client does about {', '.join(without)}."
    assert list(ADVICE) == list(Code), "tools/openapi/advice.py has the order of atrium.errors.Code."


def test_document_lists_each_code_once_with_statuses_and_advice() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", ERRORS, re.MULTILINE)
    assert [(word, advice) for word, _, advice in rows] == [(code.word, ADVICE[code]) for code in Code]
    statuses = {word: status for word, status, _ in rows}
    assert statuses["invalid_request"] == "`400`, v1 `422`"
    assert statuses["already_member"] == "`400`, v1 `409`"
    assert statuses["project_archived"] == "`409`"
    assert statuses["internal_error"] == "`500`, `502`"
    assert statuses["request_refused"] == "`4xx`"
