"""Two ways to run the API under test.

`world` is quick and single-threaded: the gateway calls the functions in this process. `crowd` is for everything about
concurrency: the functions run in worker processes, behind a proxy that sees every call to the table. Both are on
DynamoDB Local; moto's transactions copy the whole table and are not atomic under threads, so only single requests run
on it.

Sizes are those of `make test`; `full(few, many)` gives the many under `make prove`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import hypothesis
import pytest
from moto import mock_aws

from atrium.access_tokens import access_tokens
from atrium.api import authorizer
from atrium.settings import settings
from atrium.store import letters, outbox
from atrium.store.engine import table as tables
from local.bus import served
from local.database import Database, database, new_access_key_id
from local.demo import demo
from local.functions import Invoker, call
from local.gateway import Gateway
from local.letters import Letters
from local.template import Template, create_table, lambda_environment
from tests.support import clock
from tests.support.client import Published, World, through
from tests.support.clock import Clock, Workers
from tests.support.limits import Limits
from tests.support.proxy import Proxy
from tests.support.trace import Trace, enforced, meeting

# Of a crowd.
PROCESSES = 8

# An example may take as long as the machine needs.
hypothesis.settings.register_profile("atrium", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("atrium")

clock.be_patient()

# The access key id that engines and buses of tests take; of an engine that runs already, its own.
KEY = os.environ.get("ENGINE_KEY") or new_access_key_id()


# What a test has tried, by name.
Count = Callable[..., None]

_counted: dict[str, Counter[str]] = {}


@cache
def the_template() -> Template:
    """For what is needed when tests are collected: the translator takes a while."""
    return Template()


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Iterator[Count]:
    """Counts what a test tries: count(requests=1). The sums of each test stand at the end of a run; docs/promises.md
    has those of `make prove`.
    """
    counted: Counter[str] = Counter()
    yield lambda **tried: counted.update(tried)
    record_property("counted", dict(counted))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        for name, tried in report.user_properties:
            if name == "counted" and isinstance(tried, dict):
                _counted.setdefault(report.nodeid.partition("[")[0], Counter()).update(tried)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _counted:
        terminalreporter.section("counted")
    for test, tried in sorted(_counted.items()):
        figures = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in tried.items())
        terminalreporter.write_line(f"{test}: {figures}")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, at least on a small machine: half of the time tests wait, for processes and
    clocks.
    """
    return min(4, (os.cpu_count() or 1) + 1)


def full(few: int, many: int) -> int:
    """The size inside `make test`, and the one of `make prove`."""
    return many if os.environ.get("PROVE") else few


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    """All tests of a process share it. The last one fails where a test has changed it: the next to read it, in
    whatever order they come, would read something that is not the template.
    """
    yield the_template()
    assert the_template().resources == Template().resources


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """DynamoDB Local, in memory; one that runs already where ENGINE says its endpoint, and ENGINE_KEY what it
    takes.
    """
    if running := os.environ.get("ENGINE"):
        yield running
        return
    with database(None, KEY) as made:
        made.wait_until_ready()
        yield made.endpoint


@pytest.fixture
def world_on_engine(template: Template, engine: str, tmp_path: Path) -> Iterator[World]:
    """The API in this process, on DynamoDB Local."""
    with inline(template, engine, tmp_path, call) as made:
        yield made


@pytest.fixture
def world(world_on_engine: World) -> World:
    return world_on_engine


@pytest.fixture(scope="module")
def shared(template: Template, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same for all tests of a module: for those that do not mind each other."""
    with inline(template, engine, tmp_path_factory.mktemp("shared"), call) as made:
        yield made


@pytest.fixture
def world_on_moto(template: Template, tmp_path: Path) -> Iterator[World]:
    """The API in this process, on moto."""
    with mock_aws(), inline(template, None, tmp_path, call) as made:
        yield made


@pytest.fixture
def traced(template: Template, engine: str, tmp_path: Path) -> Iterator[tuple[World, Trace]]:
    """A world, and what its functions ask of the table."""
    trace = Trace()
    with meeting(), inline(template, engine, tmp_path, trace.invoke) as made:
        trace.watch(tables.table()._client)
        yield made, trace


@contextmanager
def inline(template: Template, endpoint: str | None, directory: Path, invoke: Invoker) -> Iterator[World]:
    """A world on a table of its own, whose functions may do what the template allows them. The functions' process is
    this one, so the innermost world is the one that runs.
    """
    functions = template.functions
    bus = Published()
    table = endpoint or "https://dynamodb.us-east-1.amazonaws.com"
    caches = (settings, tables.table, outbox.bus, letters.dead_letters, authorizer.credentials, access_tokens)
    queue = Letters(directory / "dead-letters.jsonl")
    with (
        served(bus, KEY, queue, lambda name, event: call(functions[name], event)),
        enforced(template),
        pytest.MonkeyPatch.context() as patch,
    ):
        environment = lambda_environment(functions["Provision"], table, bus.url, KEY)
        environment["TABLE_NAME"] = f"atrium-{uuid4()}"
        del environment["AWS_LAMBDA_INITIALIZATION_TYPE"]
        for name, value in environment.items():
            patch.setenv(name, value)
        clock.install(Clock(), patch.setattr)
        for cached in caches:
            cached.cache_clear()
        client = boto3.client("dynamodb")
        # Without a stream: nobody reads it here, and the engine gets slower with each one of a table that is gone.
        schema = {name: value for name, value in template.table.items() if name != "StreamSpecification"}
        create_table(client, {**schema, "TableName": environment["TABLE_NAME"]})
        Limits().watch(tables.table()._client)
        dev = demo(directory, lambda request: call(functions["Provision"], request))
        gateway = Gateway(template.api, functions, invoke, template.stage)
        yield World(through(gateway), dev, bus, gateway)
        client.delete_table(TableName=environment["TABLE_NAME"])
        for cached in caches:
            cached.cache_clear()


@dataclass
class Crowd:
    """The API in worker processes, on DynamoDB Local behind a proxy. `environment` is the functions'; `client` goes
    past the proxy; `letters` is the queue DeadLetters.
    """

    world: World
    invoke: Invoker
    proxy: Proxy
    environment: dict[str, str]
    client: Any
    letters: Letters


@pytest.fixture(scope="session")
def crowd_session(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with ExitStack() as stack:
        engine = stack.enter_context(database(None, KEY))
        engine.wait_until_ready()
        yield stack.enter_context(crowd_on(engine, template, tmp_path_factory.mktemp("crowd")))


@pytest.fixture
def crowd(crowd_session: Crowd) -> Iterator[Crowd]:
    """The session's crowd, its proxy back to doing nothing after each test."""
    yield crowd_session
    fresh = Proxy("http://unused")
    for name in ("before", "after", "conflicts", "delay", "conflicted"):
        setattr(crowd_session.proxy, name, getattr(fresh, name))


@contextmanager
def crowd_on(engine: Database, template: Template, directory: Path) -> Iterator[Crowd]:
    client = engine.client()
    create_table(client, template.table)
    bus = Published()
    queue = Letters(directory / "dead-letters.jsonl")
    invoked = served(bus, KEY, queue, lambda name, event: workers(template.functions[name], event))
    with Proxy(engine.endpoint).served() as proxy, invoked:
        environment = lambda_environment(template.functions["Provision"], proxy.url, bus.url, KEY)
        workers = Workers(environment, size=PROCESSES)
        try:
            dev = demo(directory, lambda request: workers(template.functions["Provision"], request))
            world = World(through(Gateway(template.api, template.functions, workers, template.stage)), dev, bus)
            yield Crowd(world, workers, proxy, environment, client, queue)
        finally:
            workers.stop()
