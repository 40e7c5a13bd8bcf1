"""Measures how long writers on the same item wait. DynamoDB answers a transaction with TransactionConflict while
another one on the item is under way; DynamoDB Local never does. So this program simulates time and the table, event by
event; the waiting and deciding code is Atrium's own: Work and Table.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.conflicts

Prints, for each back-off and number of writers, the milliseconds of simulated time that a request took, the number of
503 answers, and the calls for each request. Each writer sends one request after the other. The output is the same on
every machine and in every run.
"""

import heapq
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from statistics import median
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from atrium import keys
from atrium.errors import Unavailable
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import ACTIVE, Caller
from atrium.store.engine import scope as scopes
from atrium.store.engine import table as tables
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Table
from atrium.store.engine.work import IdempotencyKey, Outcome, Work

WRITERS = (2, 16, 32, 64)
ROUNDS = 10
SEEDS = (1, 2)

# Ranges in milliseconds: a call's way in one direction; the time of a read; the time that a transaction holds its
# items.
ON_THE_WAY = (1, 2)
READ = (1, 3)
HELD = (4, 12)

TENANT = "a" * 24


class Simulation:
    """Runs functions in threads, one at any moment: the one whose sleep ends first. It replaces the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._number = 0
        self._turn = threading.Semaphore(0)
        self._own = threading.local()

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        self._wait(self.now + seconds, self._own.turn)
        self._turn.release()
        self._own.turn.acquire()

    def run(self, *functions: Callable[[], object]) -> None:
        threads = [threading.Thread(target=self._begin, args=(function,), daemon=True) for function in functions]
        for thread in threads:
            thread.start()
            self._turn.acquire()
        while self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.release()
            self._turn.acquire()

    def _begin(self, function: Callable[[], object]) -> None:
        self._own.turn = threading.Semaphore(0)
        try:
            self.sleep(0)
            function()
        finally:
            self._turn.release()

    def _wait(self, until: float, turn: threading.Semaphore) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (until, self._number, turn))


def _key(item: Mapping[str, Any]) -> Key:
    return Key(item["pk"]["S"], item["sk"]["S"])


class Cancelled(ClientError):
    """TransactionCanceledException."""

    def __init__(self, reason: str) -> None:
        answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": reason}]}
        super().__init__(answer, "TransactWriteItems")


class Client:
    """A table that stores only versions: each write makes a new version, and a condition with `:seen` holds if the item
    still has that version.
    """

    exceptions = SimpleNamespace(
        ConditionalCheckFailedException=type("ConditionalCheckFailed", (Exception,), {}),
        TransactionCanceledException=Cancelled,
    )
    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))

    def __init__(self, simulation: Simulation, chance: Random) -> None:
        self.calls = 0
        self._simulation = simulation
        self._chance = chance
        self._versions: dict[str, int] = {}
        self._held: set[str] = set()

    def batch_get_item(self, **params: Any) -> Any:
        self.calls += 1
        self._pass(ON_THE_WAY)
        self._pass(READ)
        ((name, asked),) = params["RequestItems"].items()
        # A caller's own row is read for its status.
        active = {"status": {"S": ACTIVE}}
        found = [{**key, **active, "version": {"N": str(self._versions.get(str(key), 0))}} for key in asked["Keys"]]
        self._pass(ON_THE_WAY)
        # No request is sent twice, so there is never a stored answer.
        return {"Responses": {name: [item for item in found if "#I#" not in item["pk"]["S"]]}}

    def transact_write_items(self, **params: Any) -> Any:
        self.calls += 1
        self._pass(ON_THE_WAY)
        actions = [(kind, action) for each in params["TransactItems"] for kind, action in each.items()]
        about = [
            str(action.get("Key") or {name: action["Item"][name] for name in ("pk", "sk")}) for _, action in actions
        ]
        if self._held & set(about):
            self._pass(ON_THE_WAY)
            raise Cancelled("TransactionConflict")
        seen = [action.get("ExpressionAttributeValues", {}).get(":seen") for _, action in actions]
        now = [self._versions.get(key, 0) for key in about]
        if any(version and int(version["N"]) != current for version, current in zip(seen, now, strict=True)):
            self._pass(ON_THE_WAY)
            raise Cancelled("ConditionalCheckFailed")
        self._held |= set(about)
        self._pass(HELD)
        for key, (kind, _) in zip(about, actions, strict=True):
            self._versions[key] = self._versions.get(key, 0) + (kind != "ConditionCheck")
        self._held -= set(about)
        self._pass(ON_THE_WAY)
        return {}

    def _pass(self, bounds: tuple[int, int]) -> None:
        self._simulation.sleep(self._chance.uniform(*bounds) / 1000)


# ---------------------------------------------------------------- measured requests


def change(work: Work, project: str, principal: str) -> None:
    """A PATCH of a project: its condition is the version that it has read."""
    meta, role = keys.project(TENANT, project), keys.member(TENANT, project, principal)
    work.read(meta, role)
    seen = (work.item(meta) or {})["version"]
    work.update(meta, "ADD #version :one", "#version = :seen", one=1, seen=seen)
    work.check(role, "attribute_exists(#pk)")


def add(work: Work, project: str, principal: str) -> None:
    """A new record: updates the project, on the only condition that the project exists."""
    meta, role = keys.project(TENANT, project), keys.member(TENANT, project, principal)
    work.read(meta, role)
    work.update(meta, "ADD #version :one", one=1)
    work.check(role, "attribute_exists(#pk)")
    work.put(keys.record(TENANT, project, "task", new_id()), {})


def add_by_a_role_in_the_space(work: Work, project: str, principal: str) -> None:
    meta, role = keys.project(TENANT, project), keys.space_member(TENANT, TENANT, principal)
    work.read(meta, role)
    work.update(meta, "ADD #version :one", one=1)
    work.check(role, "attribute_exists(#pk)")
    work.put(keys.record(TENANT, project, "task", new_id()), {})


@dataclass(frozen=True)
class Case:
    """The request that all writers send, and whether they share a project or a principal."""

    does: Callable[[Work, str, str], None]
    one_project: bool
    one_principal: bool


CASES = {
    "changes of one project": Case(change, one_project=True, one_principal=False),
    "records of one project": Case(add, one_project=True, one_principal=False),
    "one principal, many projects": Case(add_by_a_role_in_the_space, one_project=False, one_principal=True),
}

# The maximal wait in seconds before the nth retry of a transaction; the wait is a random part of it.
Wait = Callable[[int], float]


def exponential(attempt: int) -> float:
    """The back-off after other transient failures."""
    return 0.01 * (1 << min(attempt, 6))


WAITS: dict[str, Wait | None] = {
    "Table's own: flat, 100 ms": None,
    "exponential, 20 to 640 ms": exponential,
    "exponential, 20 to 80 ms": lambda attempt: min(exponential(attempt), 0.08),
    "flat, 50 ms": lambda _: 0.05,
    "flat, 200 ms": lambda _: 0.2,
    "shorter and shorter, from 100 ms": lambda attempt: 0.1 / attempt,
}


@dataclass
class Figures:
    """Figures of all requests: the seconds of each, the number of late answers, and the number of calls."""

    taken: list[float]
    busy: int = 0
    calls: int = 0

    @property
    def p99(self) -> float:
        return sorted(self.taken)[int(len(self.taken) * 0.99)]

    def __str__(self) -> str:
        times = f"{median(self.taken) * 1000:6.0f} {self.p99 * 1000:7.0f} {max(self.taken) * 1000:7.0f}"
        return f"{times} {self.busy:5} {self.calls / len(self.taken):7.1f}"


def figures(
    case: Case, writers: int, wait: Callable[[int], float] | None = None, seeds: tuple[int, ...] = SEEDS
) -> Figures:
    """Simulates a case; without a `wait`, Table's own back-off applies."""
    found = Figures([])
    for seed in seeds:
        simulation, chance = Simulation(), Random(seed)
        client = Client(simulation, chance)
        with _simulated(simulation, chance, wait):
            table = Table("atrium", client)
            simulation.run(*(_writer(found, simulation, table, case, number) for number in range(writers)))
        found.calls += client.calls
    return found


def _writer(found: Figures, simulation: Simulation, table: Table, case: Case, number: int) -> Callable[[], None]:
    project, principal = (f"{0 if one else number:024}" for one in (case.one_project, case.one_principal))
    caller = Caller(TENANT, principal, "user")

    def write() -> None:
        for turn in range(ROUNDS):
            began = simulation.now
            with scope(TENANT):
                work = Work(table, caller, IdempotencyKey((f"{number} {turn}",), ""))

                def decide(work: Work = work) -> Outcome:
                    case.does(work, project, principal)
                    return Outcome({"status": 204, "body": "", "headers": {}}, confirms=True)

                try:
                    work.run(decide)
                except Unavailable:
                    found.busy += 1
            found.taken.append(simulation.now - began)

    return write


@contextmanager
def _simulated(simulation: Simulation, chance: Random, wait: Wait | None) -> Iterator[None]:
    own = (tables, "time"), (scopes, "time"), (tables, "_chance"), (Table, "_pause")
    kept = [getattr(of, name) for of, name in own]

    def pause(table: Table, attempt: int, after: Any) -> None:
        assert wait is not None
        simulation.sleep(chance.uniform(0, wait(attempt)))

    for (of, name), value in zip(own, (simulation, simulation, chance, pause if wait else kept[-1]), strict=True):
        setattr(of, name, value)
    try:
        yield
    finally:
        for (of, name), value in zip(own, kept, strict=True):
            setattr(of, name, value)


def main() -> None:
    print(f"{'':66}median     p99     max   503   calls")
    for name, case in CASES.items():
        for writers in WRITERS:
            for wait, seconds in WAITS.items():
                print(f"{name:29} {writers:2}  {wait:33}{figures(case, writers, seconds)}", flush=True)


if __name__ == "__main__":
    main()
