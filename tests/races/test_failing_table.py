"""A table that fails, throttles or hangs."""

import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.endpoint import EndpointCreator
from botocore.exceptions import ReadTimeoutError

from atrium.settings import LAST_CALL_AFTER
from atrium.store.engine.client import dynamodb
from local.template import lambda_environment
from tests.support.client import (
    Answer,
    new_key,
)
from tests.support.clock import HANGS, READ_TIMEOUT, impatient
from tests.support.faults import BUSY
from tests.support.requests import EVERY_ROUTE, WRITES, a_project
from tests.support.unwell import Client, Unwell
from tests.support.world import KEY, PROCESSES, Count, Crowd, at_once, full, the_template


@pytest.mark.parametrize(
    "error",
    [
        *("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"),
        *("500", "502", "503", "504"),
    ],
)
def test_transient_failures_are_hidden_from_clients(crowd: Crowd, error: str) -> None:
    """Every first attempt of a call fails."""
    counter = iter(range(10**6))
    crowd.proxy.before = lambda operation, request: error if next(counter) % 2 == 0 else None
    world = crowd.world
    key = new_key()
    created = world("POST", world.projects(), {"name": "Apollo"}, key=key)
    assert created.status == 201
    assert world("POST", world.projects(), {"name": "Apollo"}, key=key).content == created.content


@pytest.mark.timeout(1_800)
def test_three_calls_in_ten_failing_give_no_wrong_answer(crowd: Crowd, count: Count) -> None:
    seed = os.environ.get("FAULT_SEED") or new_key()
    print(f"FAULT_SEED={seed!r} gives each client the same work; what fails depends on which call comes first")
    enough = full(500, 10_000)
    unwell = Unwell(seed)
    crowd.proxy.before, crowd.proxy.after = unwell.before, unwell.after
    crowd.proxy.calls.clear()

    def client(number: int) -> Client:
        made = Client(crowd.world, f"{seed} {number}")
        while made.sent["requests"] < enough / PROCESSES:
            made.work()
        return made

    with ThreadPoolExecutor(PROCESSES) as threads:
        clients = list(threads.map(client, range(PROCESSES)))
    sent = sum((made.sent for made in clients), Counter[str]())
    count(**sent, calls=len(crowd.proxy.calls), failed_calls=sum(unwell.failed.values()))
    assert sent["requests"] >= enough
    assert sent["busy"] <= 0.05 * sent["requests"]
    assert 0.25 < unwell.failed.total() / len(crowd.proxy.calls) < 0.35
    crowd.proxy.before, crowd.proxy.after = (lambda *_: None), (lambda *_: None)
    for made in clients:
        made.read_all()


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("hanging", ["every call", "the commit"])
def test_hanging_table_is_503_in_time(crowd: Crowd, hanging: str, count: Count) -> None:
    """Sends one route for each process at once; some routes, or all under `make prove`."""
    world = crowd.world
    routes = [name for name in (EVERY_ROUTE if hanging == "every call" else WRITES) if name != "V1ListRoles"]
    random.shuffle(routes)
    for position in range(0, full(PROCESSES, len(routes)), PROCESSES):
        wave = routes[position : position + PROCESSES]
        print(wave)
        requests = [partial(world, *EVERY_ROUTE[name](world, a_project(world))) for name in wave]
        for answer in while_hanging(crowd, requests, hanging):
            count(requests=1)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert set(answer.body.values()) == {BUSY}


def test_hanging_table_during_authentication_is_503(crowd: Crowd) -> None:
    """The credentials are used for the first time, so that the authorizer reads them."""
    world = crowd.world
    strangers = [partial(world, by=name, tenant="globex") for name in ("viewer", "outsider")]
    for answer in while_hanging(crowd, [partial(each, "GET", "/v1/roles") for each in strangers]):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.body == {"error": BUSY, "detail": BUSY}


def test_client_of_the_table_ends_an_unanswered_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a real timeout; the other tests have hanging calls on their own clock."""
    monkeypatch.setattr(EndpointCreator, "create_endpoint", impatient)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name, value in lambda_environment(the_template().functions["V1GetMe"], url, url, KEY).items():
            monkeypatch.setenv(name, value)
        client = dynamodb()
        with pytest.raises(ReadTimeoutError):
            client.list_tables()
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1, READ_TIMEOUT, 1)
    assert LAST_CALL_AFTER + config.connect_timeout + config.read_timeout == 8.5


def while_hanging(crowd: Crowd, requests: Sequence[Callable[[], Answer]], hanging: str = "every call") -> list[Answer]:
    """The answers to requests that come at once while the table does not answer."""

    def hang(operation: str, request: dict[str, Any]) -> str | None:
        return HANGS if operation == "TransactWriteItems" or hanging == "every call" else None

    crowd.proxy.before = hang
    try:
        return at_once(*requests)
    finally:
        crowd.proxy.before = lambda operation, request: None
