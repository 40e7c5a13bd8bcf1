"""Each call to the table fails, or many in a row: the request takes effect once.

The client repeats an unanswered request at once, with the same Idempotency-Key, until the answer. Then the table has
the same rows as after the request without a fault.
"""

import os
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from atrium.api import authorizer
from atrium.credentials import digest
from atrium.errors import Unavailable
from atrium.keys import credential, space
from atrium.settings import LAST_CALL_AFTER
from atrium.store.engine import table as tables
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, table
from atrium.store.engine.wire import plain_item
from atrium.store.fsck.check import Check
from tests.support.client import MOMENT, UUID, Answer, World, flat_id, flat_path
from tests.support.clock import NET, unhurried
from tests.support.direct import direct
from tests.support.faults import BUSY, FAULTS, Choose, Crash, FaultyClient, faulty
from tests.support.requests import EVERY_ROUTE, WRITES, Request, a_project
from tests.support.rows import rows_here
from tests.support.trace import running
from tests.support.world import Count, full

# Ids, moments, and digests of secrets.
_NEW = re.compile(rf"{UUID.pattern}|{MOMENT.pattern}|(?<![0-9a-f])(?:[0-9a-f]{{24}}|[0-9a-f]{{64}})(?![0-9a-f])")
_KEY = "one-and-the-same"


class Rows:
    """The rows of a table: reads them, compares them with the start, and restores them."""

    def __init__(self) -> None:
        self._table = direct()
        self._before = self._now = self._table.items()
        self._known = set(_NEW.findall(repr(self._before)))

    def read(self) -> list[Item]:
        """By key."""
        self._now = self._table.items()
        return [plain_item(row) for _, row in sorted(self._now.items())]

    def picture(self) -> list[str]:
        """The new or changed rows, with their new ids and times numbered in order of appearance, and the keys of the
        deleted rows.
        """
        numbers: dict[str, str] = {}

        def number(found: re.Match[str]) -> str:
            return found[0] if found[0] in self._known else numbers.setdefault(found[0], f"new {len(numbers)}")

        self._now = self._table.items()
        rows = [plain_item(row) for key, row in sorted(self._now.items()) if self._before.get(key) != row]
        rows = [row | {"ttl": "set"} if "ttl" in row else row for row in rows]
        # The shard of an event follows from its id, and each attempt to send a request has an id of its own.
        rows = [row | {"pk": "ledger", "request": "set"} if "#L#" in row["pk"] else row for row in rows]
        # So is a secret, with its last characters and its place in the order of keys.
        rows = [_with_a_hint(row) if "hint" in row or "hint" in row.get("body", "") else row for row in rows]
        rows.sort(key=lambda row: row["pk"].startswith("KEY#"))
        rows = [row | {"deleted_by": "set"} if "deleted_by" in row else row for row in rows]
        gone = sorted(map(repr, self._before.keys() - self._now.keys()))
        return gone + [_NEW.sub(number, repr(sorted(row.items()))) for row in rows]

    def restore(self) -> None:
        """Only rows read again since then can have changed."""
        now, self._now = self._now, self._before
        changed = [row for key, row in self._before.items() if now.get(key) != row]
        self._table.write(changed, [*(now.keys() - self._before.keys())])


def _with_a_hint(row: Item) -> Item:
    if "hint" in row:
        return row | {"hint": "set"}
    return row | {"body": re.sub(r'"hint":"[^"]*"', '"hint":"set"', row["body"])}


def sequences(rows: list[Item]) -> dict[str, int]:
    """Of each root of events."""
    return {row["pk"]: row["sequence"] for row in rows if "last_events" in row}


@dataclass
class Subject:
    """A writing request, the rows before it, and the rows after it without a fault."""

    route: str
    world: World
    request: Request
    rows: Rows
    expected: list[str]

    def sent(self, key: str | None = _KEY) -> Answer:
        return self.world(*self.request, key=key)

    def answered(self, client: FaultyClient, sends: int = 1_000) -> tuple[Answer, int]:
        """The final answer, and the number of requests."""
        for attempt in range(1, sends + 1):
            client.revive()
            try:
                answer = self.sent()
            except Crash:
                continue
            if answer.status != 503:
                return answer, attempt
            assert answer.headers["retry-after"] == "1"
        raise AssertionError(f"no answer to {sends} requests")

    def assert_done_once(self, answer: Answer) -> None:
        assert answer.status in (200, 201, 202, 204), answer
        assert self.rows.picture() == self.expected

    def assert_replay(self, first: Answer, second: Answer) -> None:
        assert (second.status, second.content, second.replayed) == (first.status, first.recorded, True)
        assert second.headers.get("etag") == first.headers.get("etag")


def note_use(shared: World, at: str | None) -> None:
    """The moment of the last use of the owner's credential; None for no use."""
    rows_here().change(credential(digest(shared.principal("owner")["token"])), last_used=at)


@pytest.fixture(scope="module", params=WRITES)
def made(shared: World, request: pytest.FixtureRequest) -> Iterator[Subject]:
    # A use is noted at most once an hour. This one lies ahead, so that no request of a long run notes another.
    note_use(shared, "9999-01-01T00:00:00.000Z")
    empty = Rows()
    made = Subject(request.param, shared, WRITES[request.param](shared, a_project(shared)), Rows(), [])
    before = sequences(made.rows.read())
    assert made.sent().status in (200, 201, 202, 204)
    made.expected = made.rows.picture()
    # The request creates one root or changes it once, so that the comparison means something.
    after = sequences(made.rows.read())
    changed = {pk: (before.get(pk, 0), after[pk]) for pk in after if after[pk] != before.get(pk)}
    ((was, now),) = changed.values()
    assert now == was + 1
    assert Check(table()).run()["clean"]
    made.rows.restore()
    yield made
    empty.read()
    empty.restore()


@pytest.fixture
def subject(made: Subject) -> Iterator[Subject]:
    yield made
    made.rows.read()
    made.rows.restore()


# ---------------------------------------------------------------- one fault


def test_one_call_failing_in_any_way_leaves_the_same_rows(subject: Subject, count: Count) -> None:
    """Fails each call of the request, and then that of its replay. `make test` has a few faults at the commit and one
    elsewhere, in turn: other ones from route to route.
    """
    with faulty(lambda *_: None) as client:
        subject.sent()
    subject.rows.read()
    subject.rows.restore()
    assert client.calls.count("TransactWriteItems") == 1
    commit = client.calls.index("TransactWriteItems") + 1
    turn = list(WRITES).index(subject.route)
    reads = [at for at in range(1, len(client.calls) + 1) if at != commit]
    elsewhere = product(in_turn(FAULTS, turn, 1), reads)
    for fault, at in [*elsewhere, *product(in_turn(FAULTS, turn, 4), [commit])]:
        first, sends = with_fault(subject, fault, at)
        subject.assert_done_once(first)
        # Only a fault that ends the process is visible.
        assert sends == (2 if fault.startswith("crash") else 1), (fault, at)
        assert first.replayed == (fault == "crash after" and at == commit), (fault, at)
        count(points=1)
        subject.rows.restore()
    first = subject.sent()
    for fault in in_turn(FAULTS, turn, 1):
        again, sends = with_fault(subject, fault, 1)
        subject.assert_replay(first, again)
        assert sends == (2 if fault.startswith("crash") else 1), fault
        count(points=1)
    subject.assert_done_once(first)


def in_turn(faults: Sequence[str], turn: int, few: int) -> list[str]:
    """A few of the faults, other ones at each turn; all of them in full."""
    return [faults[(turn * few + number) % len(faults)] for number in range(full(few, len(faults)))]


def with_fault(subject: Subject, fault: str, at: int) -> tuple[Answer, int]:
    """The final answer with one failing call, and the number of requests."""
    with faulty(lambda number, *_: fault if number == at else None, unhurried()) as client:
        answer, sends = subject.answered(client)
    assert len(client.calls) > at, "the fault was not met"
    return answer, sends


def test_lost_answer_without_a_key_causes_no_second_write(subject: Subject) -> None:
    """A living process repeats the same bytes with the same token."""
    subject.sent(key=None)
    expected = subject.rows.picture()
    subject.rows.restore()
    lost: list[str] = []

    def choose(_: int, operation: str, __: Any) -> str | None:
        if operation != "TransactWriteItems" or lost:
            return None
        lost.append(operation)
        return "lost"

    with faulty(choose, unhurried()):
        assert subject.sent(key=None).status in (200, 201, 202, 204)
    assert lost
    assert subject.rows.picture() == expected


# ---------------------------------------------------------------- many faults


class Plan:
    """Chooses faults at random, the same for the same seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self.often = self._random.uniform(0.1, 0.9)
        self.chosen: Counter[str] = Counter()

    def __call__(self, *_: Any) -> str | None:
        if self._random.random() > self.often:
            return None
        fault = self._random.choice(FAULTS)
        self.chosen[fault] += 1
        return fault


def seeds(route: str) -> list[str]:
    """FAULT_SEED="CreateTask 17" repeats one run."""
    given = os.environ.get("FAULT_SEED")
    if given:
        return [given] if given.split()[0] == route else []
    return [f"{route} {number}" for number in range(full(2, 264))]


def test_calls_failing_again_and_again_leave_the_same_rows(
    subject: Subject, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in seeds(subject.route):
        print(f"FAULT_SEED={seed!r}")
        monkeypatch.setattr(tables, "_chance", random.Random(seed))
        plan = Plan(seed)
        # Now and then the credential is unknown too, so that the authorizer asks.
        if plan.often > 0.5:
            authorizer.credentials.cache_clear()
        with faulty(plan, unhurried()) as client:
            first, sends = subject.answered(client)
            again, more = subject.answered(client)
        subject.assert_done_once(first)
        subject.assert_replay(first, again)
        subject.rows.restore()
        count(runs=1, sends=sends + more, calls=len(client.calls), faults=plan.chosen.total())


# ---------------------------------------------------------------- reads made at once


def test_failed_request_leaves_no_read_running(shared: World) -> None:
    """In Lambda it would continue during the next request of the process."""
    path = flat_path(a_project(shared))
    begun, answered = threading.Event(), threading.Event()
    reads: list[str] = []

    def fail(model: Any, **_: Any) -> None:
        if running() != "GetProject":
            return
        if model.name == "BatchGetItem":
            assert begun.wait(NET)
            raise LookupError
        reads.append(model.name)
        begun.set()
        # A read that is slow, unless its request is answered before: then it is known to go on.
        answered.wait(0.5)
        reads.remove(model.name)

    events = table()._client.meta.events
    events.register("before-call", fail)
    try:
        answer = shared("GET", path)
        left = reads.copy()
    finally:
        answered.set()
        events.unregister("before-call", fail)
    assert (answer.status, begun.is_set(), left) == (500, True, [])


# ---------------------------------------------------------------- unprocessed items of a batch


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem"])
def test_unprocessed_items_are_retried_with_growing_pauses_until_the_deadline(shared: World, operation: str) -> None:
    tenant = flat_id(shared.dev["tenants"]["acme"]["tenant_id"])
    doomed = [space(tenant, f"{number:024}") for number in range(8)]
    call = table().get_all if operation == "BatchGetItem" else table().delete_all
    clock = unhurried()
    with faulty(lambda *_: "left over", clock) as client, scope(tenant) as spent, pytest.raises(Unavailable):
        call(doomed)
    assert set(client.calls) == {operation}
    assert spent.retries == len(client.calls)
    # Halves of eight first; then pauses of a third of a second on average, as long as there is time.
    assert len(client.calls) < 100
    assert LAST_CALL_AFTER < clock.waited < 10


# ---------------------------------------------------------------- who is asking


@pytest.fixture
def first_use(shared: World) -> Iterator[None]:
    """The owner's credential is unknown to this process, and its use has not been noted: two calls."""
    note_use(shared, None)
    authorizer.credentials.cache_clear()
    yield
    authorizer.credentials.cache_clear()


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_failed_call_of_the_authorizer_is_hidden_from_clients(
    shared: World, first_use: None, fault: str, at: int
) -> None:
    with faulty(lambda number, *_: fault if number == at else None, unhurried()) as client:
        if fault.startswith("crash"):
            with pytest.raises(Crash):
                shared("GET", "/v1/roles")
            client.revive()
        assert shared("GET", "/v1/roles").status == 200
    assert client.calls[at - 1] == ("GetItem", "UpdateItem")[at - 1]


@pytest.mark.parametrize("fault", ["throttle", "error", "untyped", "hang"])
def test_authorizer_with_a_failing_table_is_503(shared: World, first_use: None, fault: str) -> None:
    clock = unhurried()
    with faulty(lambda *_: fault, clock) as client:
        answer = shared("GET", "/v1/roles")
    assert set(client.calls) == {"GetItem"}
    assert clock.waited < 10
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body == {"error": BUSY, "detail": BUSY}


def test_failed_note_of_a_credentials_use_delays_no_request(shared: World, first_use: None) -> None:
    """Reads go on, writes do not."""
    clock = unhurried()
    with faulty(lambda _, operation, __: "hang" if operation == "UpdateItem" else None, clock):
        assert shared("GET", "/v1/roles").status == 200
    assert clock.waited < 2


# ---------------------------------------------------------------- a table that does not come back


def test_every_route_with_a_failing_table_is_503_in_time(shared: World) -> None:
    """In this process. test_failing_table.py does the same with worker processes. `make test` has one of the faults for
    each route, in turn.
    """
    project = a_project(shared)  # nothing is done to it
    for turn, (name, make) in enumerate(EVERY_ROUTE.items()):
        request = make(shared, project)
        for fault in in_turn(("throttle", "error", "untyped", "hang"), turn, 1):
            if name != "V1ListRoles":
                assert_busy(shared, request, lambda *_, fault=fault: fault)
            if name in WRITES:
                assert_busy(shared, request, at_commit(fault))


def assert_busy(world: World, request: Request, choose: Choose) -> None:
    clock = unhurried()
    with faulty(choose, clock):
        answer = world(*request, key=_KEY)
    assert clock.waited < 10, request
    assert (answer.status, answer.headers["retry-after"]) == (503, "1"), request
    assert set(answer.body.values()) == {BUSY}


def at_commit(fault: str) -> Choose:
    return lambda _, operation, __: fault if operation == "TransactWriteItems" else None
