"""Lambda's own runtime on this machine, with small test functions: its answers, its measurements, and the number of
environments.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from atrium import documents
from atrium.api.room import cost
from atrium.settings import MAX_RETURNED_BYTES
from local import environments
from local.environments import Environments
from local.functions import FunctionFailed, FunctionTimedOut
from local.rie import Environment, built
from local.template import Function
from tests.support.processes import exists, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Lambda's runtime is for Linux")

SOURCE = """
import os, time
from pathlib import Path

time.sleep(0.2)
print("loading")

def handler(event, context):
    if "file" in event:
        Path(event["file"]).write_text(str(os.getpid()))
    time.sleep(event.get("seconds", 0))
    if "status" in event:
        os._exit(event["status"])
    if event.get("raise"):
        raise ValueError("wrong")
    if "times" in event:
        return event["text"] * event["times"] + "x" * event["more"]
    return {
        "process": os.getpid(),
        "parent": os.getppid(),
        "event": event,
        "name": context.function_name,
        "remaining": context.get_remaining_time_in_millis(),
        "variables": sorted(os.environ),
    }
"""

# A timeout in seconds that only functions meant to time out reach.
ENOUGH = 240

Make = Callable[..., Environment]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    for name in "ABC":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "code.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def make(build: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def new(handler: str = "code.handler", timeout: int = ENOUGH, **variables: str) -> Environment:
            function = Function("A", handler, timeout, memory=128, environment={})
            environment = Environment(function, variables, built(function, build))
            stack.callback(environment.stop)
            return environment

        yield new


def test_a_function_gets_its_event_and_only_its_own_variables(make: Make) -> None:
    environment = make(TABLE_NAME="atrium")
    result = environment.invoke({"text": "é"})
    assert (result["name"], result["event"]) == ("A", {"text": "é"})
    assert 0 < result["remaining"] <= ENOUGH * 1000
    assert "TABLE_NAME" in result["variables"]
    assert not {"HOME", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"} & set(result["variables"])
    assert environment.invoke({})["process"] == result["process"], "the same environment serves the next event"
    environment.stop()
    assert not exists(result["process"])
    assert not environment.alive


def test_lambda_accepts_an_answer_of_the_counted_size_and_not_a_byte_more(make: Make) -> None:
    """The text has quotes, escapes, and characters of each length in UTF-8."""
    text = documents.render(["a", 'q"\\', "\t\r\n", "é", "\u2028\u2029", "한", "\U0001f600"])
    # The two quotes around the text count too.
    times, more = divmod(MAX_RETURNED_BYTES - 2, cost(text))
    environment = make()
    whole = environment.invoke({"text": text, "times": times, "more": more})
    assert whole == text * times + "x" * more
    with pytest.raises(FunctionFailed) as refused:
        environment.invoke({"text": text, "times": times, "more": more + 1})
    assert refused.value.error_type == "Function.ResponseSizeTooLarge"


def test_init_and_peak_memory_are_the_functions(make: Make) -> None:
    environment = make()
    began = time.monotonic()
    environment.invoke({})
    assert 0.2 < environment.init < time.monotonic() - began
    assert 5_000 < environment.peak_memory < 30_000


def test_failures_have_distinct_types_and_the_next_event_is_served(make: Make) -> None:
    environment = make()
    with pytest.raises(FunctionFailed) as raised:
        environment.invoke({"raise": True})
    assert (raised.value.error_type, raised.value.message) == ("ValueError", "wrong")
    assert "raise ValueError" in raised.value.where
    process = environment.invoke({})["process"]
    with pytest.raises(FunctionFailed, match="ExitError") as crashed:
        environment.invoke({"status": 3})
    assert "exit status 3" in crashed.value.message
    assert environment.invoke({})["process"] != process
    with pytest.raises(FunctionFailed, match="ImportModuleError"):
        make(handler="nowhere.handler").invoke({})


def test_a_timed_out_function_is_ended_and_the_next_event_is_served(make: Make, tmp_path: Path) -> None:
    environment = make(timeout=2)
    file = tmp_path / "process"
    # The init counts as well, so a function may time out before it writes its process id.
    while not file.exists():
        with pytest.raises(FunctionTimedOut):
            environment.invoke({"file": str(file), "seconds": ENOUGH})
    process = int(file.read_text())
    assert not exists(process)
    while True:
        with suppress(FunctionTimedOut):
            assert environment.invoke({})["process"] != process
            break


def test_requests_for_one_environment_wait_for_each_other(make: Make) -> None:
    environment = make()
    with ThreadPoolExecutor(5) as threads:
        results = list(threads.map(lambda _: environment.invoke({"seconds": 0.05}), range(5)))
    assert len({result["process"] for result in results}) == 1


@pytest.fixture
def pool(build: Path) -> Iterator[Environments]:
    made = Environments({}, size=3, build=build)
    yield made
    made.stop()


def function(name: str) -> Function:
    return Function(name, "code.handler", ENOUGH, memory=128, environment={})


def test_environments_never_exceed_the_size_and_the_oldest_is_ended(pool: Environments) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: pool(function("A"), {"seconds": 0.3}), range(4)))
    first = {result["process"] for result in results}
    assert len(first) == environments.PER_FUNCTION
    (b,) = {pool(function("B"), {})["process"] for _ in range(2)}
    assert all(map(exists, {*first, b}))
    last = results[-1]["process"]
    c = pool(function("C"), {})["process"]
    assert [exists(process) for process in first].count(True) == 1, "an A made room"
    assert exists(b)
    assert exists(c)
    assert last in {result["process"] for result in results}


def test_a_request_waits_when_every_place_is_in_use(pool: Environments) -> None:
    def invoke(name: str) -> Any:
        return pool(function(name), {"seconds": 1})

    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        assert len({result["process"] for result in threads.map(invoke, "AABC")}) == 4
    assert time.monotonic() - began > 2, "one of them behind another"


def test_a_dead_environment_is_replaced(pool: Environments) -> None:
    emulator = pool(function("A"), {})["parent"]
    os.kill(emulator, 9)
    wait_for(lambda: not exists(emulator))
    assert pool(function("A"), {})["parent"] != emulator


def test_an_idle_environment_is_ended(monkeypatch: pytest.MonkeyPatch, build: Path) -> None:
    monkeypatch.setattr(environments, "IDLE", 0.5)
    pool = Environments({}, size=3, build=build)
    try:
        process = pool(function("A"), {})["process"]
        wait_for(lambda: not exists(process))
        assert pool(function("A"), {})["process"] != process
    finally:
        pool.stop()


def test_stopping_ends_busy_environments_and_starts_no_others(build: Path, tmp_path: Path) -> None:
    pool = Environments({}, size=3, build=build)
    process = pool(function("A"), {})["process"]
    with ThreadPoolExecutor(2) as threads:
        file = tmp_path / "process"
        busy = threads.submit(pool, function("A"), {"file": str(file), "seconds": ENOUGH})
        wait_for(file.exists)
        pool.stop()
        with pytest.raises(FunctionFailed, match="ExitError"):
            busy.result()
    assert not exists(process)
    with pytest.raises(FunctionFailed, match="the instance is ending"):
        pool(function("B"), {})
