"""The laptop edition's gateway answers like API Gateway, from the same OpenAPI document."""

import json
import os
import re
import signal
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local.functions import FunctionFailed, FunctionThrottled, FunctionTimedOut, Workers
from local.gateway import MAX_BODY_BYTES, Gateway, Reply, Request
from local.template import Template
from tests.support.clock import NET
from tests.support.fake import ALLOW, Fake, function
from tests.support.processes import wait_for

UNAUTHORIZED = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."
SEVERAL = "Two different credentials were sent. Send exactly one: Authorization: Bearer <token>, or X-API-Key: <key>."
BUSY = "The service is busy. Send the same request again, with the same Idempotency-Key."
FAULT = {"error": "Internal server error.", "detail": "Internal server error."}


def ask(template: Template, fake: Fake, target: str = "/projects", method: str = "GET", **more: Any) -> Reply:
    gateway = Gateway(template.api, template.functions, fake, template.stage)
    return gateway.handle(Request(method, target, **more))


def seen(reply: Reply) -> tuple[int, Any]:
    return reply.status, json.loads(reply.body)


# ---------------------------------------------------------------- authorizer


@pytest.mark.parametrize(
    ("authorizer", "status", "error"),
    [
        (FunctionFailed("Exception", "Unauthorized"), 401, UNAUTHORIZED),
        (FunctionFailed("ValueError", "boom"), 503, BUSY),
        (FunctionTimedOut("Authorizer"), 503, BUSY),
        (FunctionThrottled("Authorizer"), 503, BUSY),
        ("not a policy", 503, BUSY),
        ({**ALLOW, "context": {"list": []}}, 503, BUSY),
        ({"principalId": "p", "policyDocument": {"Statement": []}}, 401, SEVERAL),
    ],
)
def test_a_refusal_by_the_authorizer_does_not_invoke_the_function(
    template: Template, authorizer: Any, status: int, error: str
) -> None:
    fake = Fake(authorizer)
    reply = ask(template, fake)
    assert seen(reply) == (status, {"error": error, "detail": error})
    assert set(fake.events) == {"Authorizer"}
    headers = dict(reply.headers)
    assert headers["X-Request-Id"] == reply.request_id
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert headers.get("Retry-After") == ("1" if status == 503 else None)


def test_a_deny_wins_over_an_allow(template: Template) -> None:
    deny = {"Effect": "Deny", "Resource": ["arn:aws:execute-api:us-east-1:000000000000:local/prod/GET/projects"]}
    policy = {**ALLOW, "policyDocument": {"Statement": [*ALLOW["policyDocument"]["Statement"], deny]}}  # type: ignore[index]
    assert seen(ask(template, Fake(policy))) == (401, {"error": SEVERAL, "detail": SEVERAL})
    assert ask(template, Fake(policy), "/projects", "POST").status == 200


def test_the_function_gets_the_authorizers_context_as_strings(template: Template) -> None:
    fake = Fake()
    ask(template, fake)
    context = fake.events["route"]["requestContext"]["authorizer"]
    assert context == {"tenant_id": "t", "number": "1", "yes": "true", "principalId": "p"}


def test_the_authorizer_sees_the_request_but_not_its_body(template: Template) -> None:
    fake = Fake()
    ask(template, fake, "/projects?a=1", "POST", headers=[("X-Api-Key", "k")], body=b"{}")
    event = fake.events["Authorizer"]
    assert event["type"] == "REQUEST"
    assert event["methodArn"] == "arn:aws:execute-api:us-east-1:000000000000:local/prod/POST/projects"
    assert event["headers"]["X-Api-Key"] == "k"
    assert event["queryStringParameters"] == {"a": "1"}
    assert "body" not in event


# ---------------------------------------------------------------- the event


def test_the_event_has_the_form_of_a_proxy_integration(template: Template) -> None:
    fake = Fake()
    headers = [("Host", "api.test"), ("X-A", "1"), ("X-A", "2"), ("Content-Type", "application/json")]
    target = "/v1/spaces/a%20b/projects/%E2%98%83%2F?limit=1&limit=2&q=%C3%A9&empty="
    ask(template, fake, target, "PATCH", headers=headers, body='{"é":1}'.encode())
    event = fake.events["route"]
    assert event["resource"] == "/v1/spaces/{space_id}/projects/{project_id}"
    assert event["pathParameters"] == {"space_id": "a b", "project_id": "☃/"}
    assert event["headers"]["X-A"] == "2"
    assert event["multiValueHeaders"]["X-A"] == ["1", "2"]
    assert event["queryStringParameters"] == {"limit": "2", "q": "é", "empty": ""}
    assert event["multiValueQueryStringParameters"] == {"limit": ["1", "2"], "q": ["é"], "empty": [""]}
    assert (event["body"], event["isBase64Encoded"]) == ('{"é":1}', False)
    assert event["requestContext"]["domainName"] == "api.test"
    assert event["requestContext"]["resourcePath"] == event["resource"]


@pytest.mark.parametrize("path", ["/projects", "/projects/64a1f2c3b4e5d6f7a8b9c0d1/tasks"])
def test_a_slash_at_the_end_is_routed_like_none_and_stays_in_the_path(template: Template, path: str) -> None:
    fakes = [Fake(), Fake()]
    for fake, slash in zip(fakes, ("", "/"), strict=True):
        assert ask(template, fake, f"{path}{slash}?limit=1").status == 200
    plain, slashed = (fake.events["route"] for fake in fakes)
    assert (slashed["path"], slashed["requestContext"]["path"]) == (f"{path}/", f"{path}/")
    for name in ("resource", "pathParameters", "queryStringParameters"):
        assert slashed[name] == plain[name]


def test_every_request_has_a_unique_id(template: Template) -> None:
    fake = Fake()
    ids = set()
    for _ in range(3):
        reply = ask(template, fake)
        assert fake.events["route"]["requestContext"]["requestId"] == reply.request_id
        ids.add(reply.request_id)
    assert len(ids) == 3


def test_binary_bodies_reach_the_function_unchanged(template: Template) -> None:
    fake = Fake()
    ask(template, fake, method="POST", body=b"\xff\xfe")
    assert (fake.events["route"]["body"], fake.events["route"]["isBase64Encoded"]) == (
        b64encode(b"\xff\xfe").decode(),
        True,
    )


def test_binary_media_types_of_the_document_travel_in_base64(template: Template) -> None:
    fake = Fake()
    document = {**template.api, "x-amazon-apigateway-binary-media-types": ["image/*"]}
    gateway = Gateway(document, template.functions, fake, template.stage)
    gateway.handle(Request("POST", "/projects", [("content-type", "image/png")], b"text"))
    assert (fake.events["route"]["body"], fake.events["route"]["isBase64Encoded"]) == (
        b64encode(b"text").decode(),
        True,
    )


# ---------------------------------------------------------------- the answer


def test_a_functions_answer_goes_out_unchanged(template: Template) -> None:
    answer = {
        "statusCode": 201,
        "headers": {"X-One": "1", "X-Many": "ignored"},
        "multiValueHeaders": {"X-Many": ["a", "b"]},
        "body": b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    reply = ask(template, Fake(route=answer))
    assert (reply.status, reply.body) == (201, b"\x00\xff")
    assert sorted(reply.headers) == [("X-Many", "a"), ("X-Many", "b"), ("X-One", "1")]


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        {},
        [],
        {"statusCode": "200"},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "***", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"a": None}},
        FunctionFailed("KeyError", "boom"),
        # API Gateway waits longer than the longest timeout of a route's function.
        FunctionTimedOut("ListProjects"),
    ],
)
def test_a_malformed_answer_a_fault_or_a_timeout_is_502_without_details(template: Template, answer: Any) -> None:
    reply = ask(template, Fake(route=answer))
    assert seen(reply) == (502, FAULT)
    assert dict(reply.headers)["Retry-After"] == "1"


def test_a_throttled_function_is_503_with_retry_after(template: Template) -> None:
    reply = ask(template, Fake(route=FunctionThrottled("ListProjects")))
    assert seen(reply) == (503, {"error": BUSY, "detail": BUSY})
    headers = dict(reply.headers)
    assert (headers["Retry-After"], headers["X-Request-Id"]) == ("1", reply.request_id)


def test_every_retryable_gateway_response_has_retry_after(template: Template) -> None:
    """The statuses and Retry-After headers of API Gateway's response types."""
    responses = template.api["x-amazon-apigateway-gateway-responses"]
    retry_after = "gatewayresponse.header.Retry-After"
    said = {
        kind: (str(response.get("statusCode")), response["responseParameters"].get(retry_after))
        for kind, response in responses.items()
    }
    assert {kind: pair for kind, pair in said.items() if pair[1]} == {
        "THROTTLED": ("429", "'1'"),
        "AUTHORIZER_FAILURE": ("503", "'1'"),
        "AUTHORIZER_CONFIGURATION_ERROR": ("503", "'1'"),
        "INTEGRATION_FAILURE": ("503", "'1'"),
        "INTEGRATION_TIMEOUT": ("504", "'1'"),
        # A status here would apply to each type not listed.
        "DEFAULT_5XX": ("None", "'1'"),
    }


# ---------------------------------------------------------------- the gateway's own answers


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/nope"),
        ("PATCH", "/projects"),
        ("HEAD", "/projects"),
        ("GET", "/projects//"),
        ("GET", "//projects"),
        ("GET", "/v1/spaces//projects"),
        ("GET", "/projects/a/b"),
        ("TRACE", "/projects"),
        ("OPTIONS", "/nope"),
    ],
)
def test_an_unknown_route_or_method_is_404(template: Template, method: str, target: str) -> None:
    message = "No such route. Check the path and the method."
    fake = Fake()
    # API Gateway first reads an Authorization header as an AWS signature.
    for headers in ([], [("Authorization", "Bearer x")]):
        reply = ask(template, fake, target, method, headers=headers)
        assert seen(reply) == (404, {"error": message, "detail": message})
    assert not fake.events


def test_a_body_over_the_gateways_limit_is_413(template: Template) -> None:
    message = "The request body is too large."
    reply = ask(template, Fake(), method="POST", body=b" " * (MAX_BODY_BYTES + 1))
    assert seen(reply) == (413, {"error": message, "detail": message})
    assert ask(template, Fake(), method="POST", body=b" " * MAX_BODY_BYTES).status == 200


def test_preflight_is_answered_from_the_document_without_a_credential(template: Template) -> None:
    for path in template.api["paths"]:
        fake = Fake()
        reply = ask(template, fake, re.sub(r"\{\w+\}", "x", path), "OPTIONS", headers=[("Origin", "https://app.test")])
        assert (reply.status, reply.body) == (200, b"")
        assert dict(reply.headers) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,OPTIONS",
            "Access-Control-Allow-Headers": "Authorization,X-API-Key,Content-Type,Idempotency-Key,If-Match"
            ",If-None-Match",
            "Access-Control-Max-Age": "600",
        }
        assert not fake.events


def test_gateway_responses_may_use_the_context(template: Template) -> None:
    responses = {
        "DEFAULT_4XX": {
            "responseParameters": {"gatewayresponse.header.X-Stage": "context.stage"},
            "responseTemplates": {"application/json": '{"why":$context.error.messageString,"id":"$context.requestId"}'},
        },
        "ACCESS_DENIED": {
            "statusCode": "418",
            "responseTemplates": {"application/json": '{"reason":"$context.authorizer.reason"}'},
        },
    }
    document = {**template.api, "x-amazon-apigateway-gateway-responses": responses}
    denied = {"principalId": "p", "policyDocument": {"Statement": []}, "context": {"reason": "late"}}
    gateway = Gateway(document, template.functions, Fake(denied), template.stage)
    unknown = gateway.handle(Request("GET", "/nope"))
    assert seen(unknown) == (403, {"why": "Missing Authentication Token", "id": unknown.request_id})
    assert dict(unknown.headers)["X-Stage"] == "prod"
    assert seen(gateway.handle(Request("GET", "/projects"))) == (418, {"reason": "late"})


def test_an_authorizer_with_a_cache_is_refused_at_start(template: Template) -> None:
    document = json.loads(json.dumps(template.api))
    scheme = document["components"]["securitySchemes"]["Credential"]
    scheme["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] = 300
    with pytest.raises(ValueError, match="does not cache"):
        Gateway(document, template.functions, Fake(), template.stage)


# ---------------------------------------------------------------- functions in processes

MODULE = """
import json, os, time
calls = 0

def count(event, context):
    global calls
    calls += 1
    return {"pid": os.getpid(), "calls": calls, "left": context.get_remaining_time_in_millis()}

def hang(event, context):
    time.sleep(60)

def leave(event, context):
    os._exit(3)

def wait(event, context):
    while not os.path.exists(event["until"]):
        open(event["begun"], "w").close()
        time.sleep(0.01)
    return "waited"

def fail(event, context):
    raise KeyError("secret")

def unspeakable(event, context):
    return {"set": {1}}
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    (tmp_path / "sample_functions.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    pool = Workers({}, size=1, own={"wait": 2})
    yield pool
    pool.stop()


def test_a_timed_out_function_is_ended_and_the_next_call_gets_a_fresh_process(workers: Workers) -> None:
    first = workers(function("count"), {})
    assert first["calls"] == 1
    assert 0 < first["left"] <= NET * 1_000
    assert workers(function("count"), {})["calls"] == 2, "a process is used again"
    with pytest.raises(FunctionTimedOut):
        workers(function("hang", timeout=1), {})
    after = workers(function("count"), {})
    assert after["calls"] == 1
    assert not Path(f"/proc/{first['pid']}/stat").exists() or _is_zombie(first["pid"])


def test_a_function_at_its_concurrency_limit_is_throttled_until_one_ends(tmp_path: Path, workers: Workers) -> None:
    until, begun = tmp_path / "until", tmp_path / "begun"
    bounded = function("wait", concurrency=1)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(workers, bounded, {"until": str(until), "begun": str(begun)})
        wait_for(begun.exists)
        with pytest.raises(FunctionThrottled, match="TooManyRequestsException: wait runs as often as it may"):
            workers(bounded, {})
        until.touch()
        assert running.result() == "waited"
    assert workers(bounded, {"until": str(until)}) == "waited"


def test_a_process_that_was_killed_while_idle_is_replaced(workers: Workers) -> None:
    killed = workers(function("count"), {})["pid"]
    os.kill(killed, signal.SIGKILL)

    def answered() -> bool:
        # An event that comes before the end of the process is noticed fails with it.
        with suppress(FunctionFailed):
            return bool(workers(function("count"), {})["pid"] != killed)
        return False

    wait_for(answered)
    assert workers(function("count"), {})["calls"] == 2, "the process is used again"


def test_functions_with_processes_of_their_own_keep_no_other_waiting(tmp_path: Path, workers: Workers) -> None:
    until = tmp_path / "until"
    with ThreadPoolExecutor(2) as threads:
        begun = [tmp_path / "one", tmp_path / "two"]
        running = [
            threads.submit(workers, function("wait"), {"until": str(until), "begun": str(path)}) for path in begun
        ]
        try:
            wait_for(lambda: all(path.exists() for path in begun))
            assert workers(function("count"), {})["calls"] == 1
        finally:
            until.touch()
        assert [each.result() for each in running] == ["waited"] * 2


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_a_failing_function_does_not_affect_other_calls(workers: Workers) -> None:
    for name, said in (("fail", "KeyError: 'secret'"), ("unspeakable", "TypeError"), ("leave", "Runtime.ExitError")):
        with pytest.raises(FunctionFailed, match=re.escape(said)):
            workers(function(name), {})
        assert workers(function("count"), {})["calls"] >= 1
