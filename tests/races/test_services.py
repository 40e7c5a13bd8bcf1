"""Failures of AWS's services, as the functions' real clients meet them over HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atrium import keys
from atrium.errors import Unavailable
from atrium.settings import settings
from atrium.store import outbox
from atrium.store.engine.scope import scope
from atrium.store.engine.table import table
from local.loopback import Handler, listening
from local.template import Template, lambda_environment
from tests.support.clock import Clock, install, unhurried
from tests.support.world import KEY

TENANT = "a" * 24
EVENT = {"type": "project.created", "time": "2026-01-01T00:00:00.000Z"}
EVENTS = [EVENT | {"sequence": number} for number in range(100)]

# Answers of front ends and proxies with a status of 500 or more, in no form of the service.
BODIES = {
    "nothing": b"",
    "HTML": b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>",
    "HTML of another kind": b"<!DOCTYPE html>\n<title>Bad Gateway</title>",
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a text": b'"busy"',
    "an object of no form": b'{"message": null}',
    "half an object": b'{"__type": "Internal',
    "an unknown type": b'{"__type": "Unheard#OfException", "message": "?"}',
}


class Service:
    """Answers with the failures first, then as the table and the bus would, unless it refuses. `calls` are those it
    had; `taken` is the details of events that it took."""

    def __init__(self) -> None:
        self.failures: list[tuple[int, bytes]] = []
        self.refuses: Callable[[Any], tuple[int, bytes] | None] = lambda request: None
        self.calls: list[str] = []
        self.taken: list[str] = []

    def answer(self, operation: str, request: Any) -> tuple[int, bytes]:
        self.calls.append(operation)
        if self.failures:
            return self.failures.pop(0)
        if refusal := self.refuses(request):
            return refusal
        self.taken += [entry["Detail"] for entry in request.get("Entries", [])]
        entries = [{"EventId": "1"} for _ in request.get("Entries", [])]
        return 200, json.dumps({"Entries": entries, "Item": {"n": {"N": "1"}}}).encode()


@pytest.fixture(scope="module")
def served(template: Template) -> Iterator[Service]:
    """Table and bus of this process."""
    made = Service()

    class Front(Handler):
        def answer(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = made.answer(self.headers["X-Amz-Target"].rpartition(".")[2], request)
            self.reply(status, body, Content_Type="text/html" if status != 200 else "application/x-amz-json-1.0")

    caches = (settings, table, outbox.bus)
    with listening(Front, "service") as url, pytest.MonkeyPatch.context() as patch:
        for name, value in lambda_environment(template.functions["PublishEvents"], url, url, KEY).items():
            patch.setenv(name, value)
        for cached in caches:
            cached.cache_clear()
        yield made
        for cached in caches:
            cached.cache_clear()


@pytest.fixture
def service(served: Service) -> Service:
    vars(served).update(vars(Service()))
    return served


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = unhurried()
    install(made, monkeypatch.setattr)
    return made


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_transient_failure_of_any_form_is_retried(service: Service, clock: Clock, status: int, body: str) -> None:
    service.failures = [(status, BODIES[body])] * 2
    with scope(TENANT) as spent:
        assert table().get(keys.space(TENANT, TENANT)) == {"n": 1}
    assert (service.calls, spent.retries) == (["GetItem"] * 3, 2)
    service.failures = [(status, BODIES[body])] * 2
    assert outbox.bus().publish([EVENT, EVENT], clock.monotonic() + 60) == (set(), set())
    assert service.calls[3:] == ["PutEvents"] * 3


def test_lasting_failure_ends_at_the_deadline(service: Service, clock: Clock) -> None:
    service.failures = [(503, BODIES["HTML"])] * 1_000
    with scope(TENANT), pytest.raises(Unavailable):
        table().get(keys.space(TENANT, TENANT))
    assert clock.waited < 10


# ---------------------------------------------------------------- the bus


def error(code: str) -> tuple[int, bytes]:
    return 400, json.dumps({"__type": code, "message": "?"}).encode()


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalException"])
def test_wholly_refused_publisher_sends_each_batch_four_times(service: Service, clock: Clock, code: str) -> None:
    service.refuses = lambda request: error(code)
    assert outbox.bus().publish(EVENTS, clock.monotonic() + 60) == (set(range(100)), set())
    assert service.calls == ["PutEvents"] * 40


@pytest.mark.parametrize("refusal", [error("ValidationException"), error("SerializationException"), (413, b"")])
def test_permanently_refused_event_is_reported_and_others_are_published(
    service: Service, clock: Clock, refusal: tuple[int, bytes]
) -> None:
    def refuses(request: Any) -> tuple[int, bytes] | None:
        return refusal if any('"sequence":7' in entry["Detail"] for entry in request["Entries"]) else None

    service.refuses = refuses
    assert outbox.bus().publish(EVENTS[:10], clock.monotonic() + 60) == (set(), {7})
    assert [json.loads(detail)["sequence"] for detail in service.taken] == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    # All of them, and each by itself.
    assert service.calls == ["PutEvents"] * 11


def test_publisher_starts_no_call_after_its_deadline(service: Service, clock: Clock) -> None:
    def slowly(_: Any) -> tuple[int, bytes]:
        clock.wait(clock.waited, 3)
        return error("ValidationException")

    service.refuses = slowly
    assert outbox.bus().publish(EVENTS, clock.monotonic() + 10) == (set(range(3, 100)), {0, 1, 2})
    assert service.calls == ["PutEvents"] * 4
    assert clock.waited < 13
