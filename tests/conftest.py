"""Two ways to run the API under test.

`world` is quick and single-threaded: the gateway calls the functions in this process. `crowd` is for everything about
concurrency: the functions run in worker processes, behind a proxy that sees every call to the table. Both are on
DynamoDB Local; moto's transactions copy the whole table and are not atomic under threads, so only single requests run
on it.

Sizes are those of `make test`; `full(few, many)` gives the many under `make prove`.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from moto import mock_aws
from moto.core.models import botocore_stubber

from atrium.store.engine import table as tables
from atrium.store.engine.table import Table
from local import functions
from local.database import database
from local.functions import call
from local.gateway import Gateway
from local.template import Template
from tests.support import clock
from tests.support.client import Answer, World, through
from tests.support.clock import Workers
from tests.support.proxy import Proxy
from tests.support.trace import FUNCTIONS, Trace, meeting
from tests.support.world import KEY, BeforeCommit, Count, Crowd, crowd_on, inline, the_template

# An example may take as long as the machine needs.
hypothesis.settings.register_profile("atrium", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("atrium")

clock.be_patient()


_counted: dict[str, Counter[str]] = {}


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
    """Three more than there are cores, at least on a small machine: for much of its time a test waits, for the engine,
    for processes and for clocks. Four leave two cores idle for a sixth of a run.
    """
    return min(5, (os.cpu_count() or 1) + 3)


# Files of a few long tests. They start first: none of them is then left to one worker while the others have no more.
LONG = (
    "test_docs",
    "test_pump",
    "test_run",
    "test_run_processes",
    "test_cloud",
    "test_schemathesis",
    "test_schedules",
    "test_model",
    "test_torn",
    "test_chains",
    "test_outages",
    "test_damage",
    "test_runs",
    "test_purge",
    "test_feed",
    "test_exactly_once",
    "test_failing_table",
    "test_lists_during_writes",
    "test_table_in_use",
    "test_invocation",
    "test_database",
    "test_concurrent_changes",
    "test_command",
    "test_fuzz",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Imports and collected tests stay to the end: the garbage collector would look at them again and again, a fifth
    of the time that collecting takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which workers take files: the long ones, then those of many tests."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.stem not in LONG, -tests[item.path], str(item.path)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Tests of the next file have the real time: a clock that stays would stand still in them."""
    done = yield
    if nextitem is None or nextitem.path != item.path:
        assert vars(functions)["time"] is time, "a clock of this file's tests is left"
    return done


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """The workers of a run share an engine: three machines of Java less that start and get warm. They share a
    translated template, too, which each of them would else translate on the first run after a change.
    """
    options = session.config.option
    if getattr(options, "numprocesses", 0) and not options.collectonly and "ENGINE" not in os.environ:
        the_template()
        engine = _of_all_workers.enter_context(database(None, KEY, busy=True))
        engine.wait_until_ready()
        os.environ |= {"ENGINE": engine.endpoint, "ENGINE_KEY": KEY}


def pytest_sessionfinish() -> None:
    _of_all_workers.close()


_of_all_workers = ExitStack()


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
    """The API in this process, on moto, which is one of boto3's handlers. The functions' clients have none of those."""
    FUNCTIONS.get_component("event_emitter").register("before-send", botocore_stubber, unique_id="moto")
    with mock_aws(), inline(template, None, tmp_path, call) as made:
        yield made


@pytest.fixture
def traced(template: Template, engine: str, tmp_path: Path) -> Iterator[tuple[World, Trace]]:
    """A world, and what its functions ask of the table."""
    trace = Trace()
    with meeting(), inline(template, engine, tmp_path, trace.invoke) as made:
        trace.watch(tables.table()._client)
        yield made, trace


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


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, Workers]]:
    """Processes for `other`, by the table that they are on: worlds that come after one another are on the same."""
    made: dict[str, Workers] = {}
    yield made
    for workers in made.values():
        workers.stop()


@pytest.fixture
def other(world: World, template: Template, processes: dict[str, Workers]) -> World:
    """The same API in another process: in Lambda, too, an environment answers one request at a time."""
    table = os.environ["TABLE_NAME"]
    if table not in processes:
        processes[table] = Workers(os.environ, size=1)
    return World(through(Gateway(template.api, template.functions, processes[table], template.stage)), world.dev)


@pytest.fixture
def before_commit(other: World, monkeypatch: pytest.MonkeyPatch) -> BeforeCommit:
    """Lets a request of another process run, whole, right before the next one's transaction."""

    def arrange(request: Callable[[World], Answer]) -> None:
        commit = Table.transact

        def transact(table: Table, writes: Any, token: str) -> None:
            monkeypatch.setattr(Table, "transact", commit)
            assert request(other).status < 300
            commit(table, writes, token)

        monkeypatch.setattr(Table, "transact", transact)

    return arrange
