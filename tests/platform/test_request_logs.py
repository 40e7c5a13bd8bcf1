"""The log of requests: whole lines, and no text of a caller in any of them."""

import importlib
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atrium import telemetry
from atrium.api.resolver import lambda_handler
from atrium.api.v1 import v1_api
from atrium.api.views import Confirmation
from atrium.credentials import new_secret
from local.template import ROOT
from local.terminal import FunctionOutput
from tests.support.client import World, flat_path
from tests.support.clock import unhurried
from tests.support.faults import faulty, once_before_the_commit
from tests.support.logs import Said, answered, fixed, measured
from tests.support.requests import EVERY_ROUTE, FLAT, a_project


def test_a_request_is_one_line_with_caller_route_and_status(world: World, said: Said) -> None:
    said()
    made = world("POST", world.projects(), {"name": "Apollo"}, key="k")
    (line,) = said()
    assert fixed(line) == answered(world, made, "POST /v1/spaces/{space_id}/projects")
    assert measured(line) == ({"Stack", "Dialect"}, {"Requests", "Latency"})
    listed = world("GET", "/projects?limit=1", by="contributor")
    (line,) = said()
    assert fixed(line) == answered(world, listed, "GET /projects", by="contributor")
    assert measured(line) == ({"Stack", "Dialect"}, {"Requests", "Latency"})


def test_a_replay_is_counted(world: World, said: Said) -> None:
    world("POST", "/projects", FLAT, key="k")
    said()
    again = world("POST", "/projects", FLAT, key="k")
    (line,) = said()
    assert again.replayed
    assert fixed(line) == answered(world, again, "POST /projects", replayed=True, Replays=1)
    assert measured(line)[1] == {"Requests", "Latency", "Replays"}


def test_a_conflict_is_counted(world: World, said: Said) -> None:
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    said()
    stale = world("PATCH", project, {"name": "B"}, headers={"If-Match": '"v-99"'})
    member = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    twice = world("POST", f"{project}/members", member)
    first, second = said()
    path = "/v1/spaces/{space_id}/projects/{project_id}"
    assert (stale.status, twice.status) == (412, 409)
    assert fixed(first) == answered(world, stale, f"PATCH {path}", Conflicts=1)
    assert fixed(second) == answered(world, twice, f"POST {path}/members", Conflicts=1)
    assert measured(second)[1] == {"Requests", "Latency", "Conflicts"}


def test_a_refused_request_is_one_line_like_any_other(world: World, said: Said) -> None:
    said()
    invalid = world("POST", "/projects", {"projectName": ""})
    missing = world("GET", f"{world.projects()}/{world.uuid('owner')}")
    first, second = said()
    assert (invalid.status, missing.status) == (400, 404)
    assert fixed(first) == answered(world, invalid, "POST /projects")
    assert fixed(second) == answered(world, missing, "GET /v1/spaces/{space_id}/projects/{project_id}")


def test_a_refusal_by_the_authorizer_is_logged_with_its_reason(world: World, said: Said) -> None:
    said()
    without = world("GET", "/projects", by=None)
    unknown = world.raw("GET", "/projects", [("X-API-Key", new_secret("key"))])
    token, key = world.principal("owner")["token"], world.principal("owner")["api_key"]
    several = world.raw("GET", "/projects", [("Authorization", f"Bearer {token}"), ("X-API-Key", key)])
    lines = said()
    assert lines == [
        {
            "message": "Unauthorized",
            "level": "INFO",
            "request_id": answer.headers["x-request-id"],
            "route": "GET /projects",
            "reason": reason,
        }
        for answer, reason in ((without, "malformed"), (unknown, "unknown"), (several, "several"))
    ]
    assert (without.status, unknown.status, several.status) == (401, 401, 401)


def test_a_failing_authorizer_is_counted(world: World, said: Said) -> None:
    said()
    with faulty(lambda *_: "hang", unhurried()):
        answer = world("GET", "/projects")
    (line,) = said()
    assert answer.status == 503
    assert line.pop("where")[-1].endswith("_call")
    del line["_aws"]
    assert line == {
        "message": "Not judged",
        "level": "ERROR",
        "request_id": answer.headers["x-request-id"],
        "route": "GET /projects",
        "error": ["Unavailable"],
        "Stack": "atrium",
        "AuthorizerFailures": 1,
    }


def test_an_unhandled_error_logs_its_type_and_place_without_its_text(world: World, said: Said) -> None:
    project = world.new_project()
    said()
    with faulty(lambda number, operation, _: "unknown" if operation == "TransactWriteItems" else None):
        failed = world("PATCH", project, {"name": "B"})
    unhandled, line = said()
    route = "PATCH /v1/spaces/{space_id}/projects/{project_id}"
    assert failed.seen == (500, {"detail": "Internal server error."})
    where = unhandled.pop("where")
    assert "resolver.py" in where[0]
    assert where[-1].endswith("_raised")
    assert unhandled == {
        "message": "Unhandled",
        "level": "ERROR",
        "request_id": failed.headers["x-request-id"],
        "route": route,
        "error": ["ValueError"],
    }
    assert fixed(line) == answered(world, failed, route, level="ERROR")


def test_an_unhandled_error_logs_its_cause_and_the_error_code_of_aws() -> None:
    def fail() -> None:
        try:
            error = {"Code": "AccessDeniedException", "Message": "secret"}
            answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, "Query")
        except ClientError as error:
            raise KeyError("secret") from error

    with pytest.raises(KeyError) as caught:
        fail()
    told = telemetry.what_failed(caught.value)
    assert told["error"] == ["KeyError", "ClientError"]
    assert told["aws_error"] == ["AccessDeniedException"]
    assert "secret" not in json.dumps(told)


def test_retries_and_lost_races_are_counted(world: World, other: World, said: Said) -> None:
    project = world.new_project()
    said()
    # The authorizer has the owner in its cache, and makes no call.
    with faulty(lambda number, *_: "throttle" if number <= 2 else None, unhurried()):
        slow = world("GET", project)
    (line,) = said()
    assert fixed(line) == answered(world, slow, "GET /v1/spaces/{space_id}/projects/{project_id}", Retries=2)
    assert measured(line)[1] == {"Requests", "Latency", "Retries"}
    with faulty(once_before_the_commit(lambda: other("PUT", flat_path(project), FLAT))):
        lost = world("PATCH", project, {"name": "B"})
    (line,) = said()
    assert fixed(line) == answered(world, lost, "PATCH /v1/spaces/{space_id}/projects/{project_id}", LostRaces=1)


def test_counters_start_anew_with_each_request(world: World, said: Said) -> None:
    world.new_project()
    said()
    with faulty(lambda number, *_: "throttle" if number == 1 else None, unhurried()):
        world("POST", "/projects", FLAT)
    refused = world("POST", "/projects", content=b"x", headers={"Content-Type": "text/plain"})
    slow, line = said()
    assert slow["Retries"] == 1
    assert fixed(line) == answered(world, refused, "POST /projects")


def test_a_request_out_of_time_logs_its_retries(world: World, said: Said) -> None:
    project = world.new_project()
    said()
    with faulty(lambda *_: "hang", unhurried()):
        busy = world("GET", project)
    (line,) = said()
    assert busy.status == 503
    assert line.pop("Retries") >= 3
    assert fixed(line) == answered(world, busy, "GET /v1/spaces/{space_id}/projects/{project_id}", level="ERROR")


def test_the_first_request_of_a_process_is_logged_as_cold(world: World, said: Said) -> None:
    module = importlib.import_module("v1.list_roles")
    event = json.loads((ROOT / "events/v1/list_roles.json").read_text())
    handler = lambda_handler(module.api)
    said()
    for _ in range(3):
        handler(event, None)
    assert ["cold" in line for line in said()] == [True, False, False]


@pytest.mark.parametrize(("quotes", "status"), [(1_500_000, 200), (3_200_000, 500)])
def test_an_answer_too_large_for_lambda_is_logged_with_the_callers_status(
    world: World, said: Said, quotes: int, status: int
) -> None:
    """A quote in a text takes two characters of the body and four bytes of the answer, whose limit is 6,291,556."""
    api = v1_api(permission=None, access="NoTable")
    api.get("/v1/roles")(lambda: Confirmation(message='"' * (quotes // 2)))
    event = json.loads((ROOT / "events/v1/list_roles.json").read_text())
    handler = lambda_handler(api)
    said()
    answer = handler(event, None)
    assert answer["statusCode"] == status
    assert len(json.dumps(answer)) < 6_291_556
    *unhandled, line = said()
    assert line["status"] == status
    assert [each["error"] for each in unhandled] == ([["AnswerTooLarge"]] if status == 500 else [])


def test_no_log_holds_a_value_sent_by_a_caller(world: World, said: Said) -> None:
    """On every route, once with a working table and once with a broken one, whose errors are logged."""
    marked = "mark-5f1c"
    project = a_project(world)
    told = []
    for request in EVERY_ROUTE.values():
        method, path, body = request(world, project if world("GET", project).status == 200 else a_project(world))
        headers = {"Idempotency-Key": f"{marked}-key", "X-Marked": marked, "User-Agent": marked}
        query = f"?limit=1&cursor={marked}&q={marked}&search={marked}"
        sent = json.dumps(spoilt(body, marked)) if isinstance(body, dict) else json.dumps({marked: marked})
        for fault in (None, "unknown"):
            with faulty(lambda *_, fault=fault: fault):
                world(method, path + query, headers=headers, content=sent.encode())
                world("GET", path, by=None, headers={"Authorization": f"Bearer {marked}", "If-Match": marked})
        told += said()
    assert {line["message"] for line in told} == {"Answered", "Unauthorized", "Unhandled"}
    assert len(told) > 2 * len(EVERY_ROUTE)
    text = json.dumps(told)
    for never in (marked, "@acme.example", "atr_", "Owner of Acme", project.rpartition("/")[2]):
        assert never not in text, never


def spoilt(body: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The body with marked texts and an unknown field."""
    marked = {name: f"{value} {mark}" if isinstance(value, str) else value for name, value in body.items()}
    return {**marked, mark: f"{mark}@example.com"}


def test_a_laptops_terminal_shows_every_line_but_the_access_log(capfd: pytest.CaptureFixture[str]) -> None:
    output = FunctionOutput("V1Me")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", output)
        patch.setenv("STACK_NAME", "atrium")
        telemetry.say("Answered", request_id="r")
        telemetry.say("Unhandled", "ERROR", error=["KeyError"])
    shown = [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    (line,) = shown
    name, _, text = line.partition(" | ")
    told = json.loads(text)
    del told["timestamp"]
    assert (name, told) == ("V1Me", {"message": "Unhandled", "level": "ERROR", "error": ["KeyError"]})


def test_a_laptops_terminal_shows_an_attempt_of_a_delivery_as_a_short_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    attempt: dict[str, Any] = {
        "tenant": "t",
        "endpoint": "w",
        "event": "64a1f2c3b4e5d6f7a8b9c0d1",
        "type": "project.created",
        "attempt": 2,
        "host": "127.0.0.1",
    }
    try:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", FunctionOutput("DeliverEvents"))
            telemetry.say("Delivered", **attempt, status=204)
            telemetry.say("Not delivered", **attempt, status=500, next="2026-11-27T11:00:06.000Z")
            telemetry.say("Not delivered", **attempt, error="timed_out", next=None)
            telemetry.say("Not delivered", tenant="t")
            telemetry.say("Not delivered", **{**attempt, "host": None}, status=500, next="soon")
    finally:
        monkeypatch.undo()
        time.tzset()
    shown = [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()]
    assert shown[:3] == [
        "webhook 127.0.0.1 project.created 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1 attempt 2: 204",
        "webhook 127.0.0.1 project.created 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1 attempt 2: 500, next at 12:00:06",
        "webhook 127.0.0.1 project.created 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1 attempt 2: timed_out",
    ]
    assert [line.partition(",")[0] for line in shown[3:]] == ['DeliverEvents | {"message":"Not delivered"'] * 2
