"""A poller that follows `next_cursor` sees each event that is committed, and no other, under writers that fail.

Time is the test's own. It passes with each invocation, and no function runs for longer than a request can: so a commit
may follow the ids of its events by all of that, whatever the speed of the machine.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atrium import keys
from atrium.ids import lowest_number
from atrium.models import moment_of, timestamp
from atrium.store.engine.table import Item
from atrium.store.engine.wire import plain_item
from local.functions import FunctionFailed, Invoker
from local.gateway import Gateway
from local.template import TABLE_NAME, Function, Template
from tests.support.client import RECORDS, World, coded, flat_id, flat_path, new_key, over_http, through, v1_id
from tests.support.clock import MOMENT, NET
from tests.support.feed import Poller, done, tenant_of
from tests.support.killer import Killer
from tests.support.live import served
from tests.support.stream import Record, Stream, changes
from tests.support.unwell import Unwell
from tests.support.world import Count, Crowd, full

# Seconds that a request takes at most, by its clock; and that one step of time takes at most.
LONGEST = 8.5
STEP = 0.5

WRITERS = 16
CHANGES = full(100, 2_000)
KILLS = full(2, 20)

# Seconds by which the clock of one writer is behind.
BEHIND = 60


class Time:
    """The moment that it is, in seconds since 1970. Each invocation is a step later than the one before. It waits where
    another one, which still runs, would become older than a request can be. `committed` has the moment at which each
    event was.
    """

    def __init__(self, crowd: Crowd, start: datetime, chance: random.Random) -> None:
        self.now = start.timestamp()
        self.committed: dict[str, float] = {}
        # A commit would be held up for ever while no other function runs.
        self.holds_up = False
        self.stalled = 0
        self._crowd, self._chance = crowd, chance
        self._running: dict[object, float] = {}
        self._stalling = 0
        self._passed = threading.Condition()
        self._unwell = Unwell("poller", 0.2)
        crowd.proxy.before, crowd.proxy.after, crowd.proxy.conflicts = self._before, self._after, True

    @property
    def failed(self) -> int:
        return self._unwell.failed.total()

    def rest(self) -> None:
        """Waits until some time has passed, or none passes by itself."""
        since = self.now
        with self._passed:
            self._wait_for(lambda: self.now > since + 6 or self._stalling == len(self._running))

    def passes(self, seconds: float) -> None:
        """Lets time pass while no function runs."""
        assert not self._running
        self.now += seconds

    def invoker(self, invoke: Invoker, behind: float = 0) -> Invoker:
        """For functions whose clock is so many seconds behind."""

        def run(function: Function, event: Mapping[str, Any]) -> Any:
            if function.name == "Authorizer":
                return self._crowd.invoke(function, event)
            mine = object()
            with self._passed:
                step = self._chance.uniform(0.05, STEP)
                self._wait_for(lambda: self.now + step <= self._oldest + LONGEST)
                self.now += step
                self._running[mine] = moment = self.now
                self._passed.notify_all()
            try:
                return invoke(function, {**event, MOMENT: moment - behind})
            finally:
                with self._passed:
                    del self._running[mine]
                    self._passed.notify_all()

        return run

    @property
    def _oldest(self) -> float:
        return min(self._running.values(), default=self.now)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        assert self._passed.wait_for(condition, NET)

    def _before(self, operation: str, request: dict[str, Any]) -> str | None:
        error = self._unwell.before(operation, request)
        if error is None and operation == "TransactWriteItems" and _told(request):
            self._stall()
        return error

    def _stall(self) -> None:
        """Holds some commits up for as long as can be, a few at once."""
        with self._passed:
            if not self.holds_up or self._stalling == 3 or self._chance.random() > 0.1:
                return
            self._stalling += 1
            self.stalled += 1
            self._passed.notify_all()
            self._wait_for(lambda: self.now + STEP > self._oldest + LONGEST)
            self._stalling -= 1

    def _after(self, operation: str, request: dict[str, Any]) -> str | None:
        if operation == "TransactWriteItems":
            for id in _told(request):
                self.committed.setdefault(id, self.now)
        return self._unwell.after(operation, request)


def _told(request: Mapping[str, Any]) -> list[str]:
    """The ids of the events that a transaction puts."""
    items = [action["Put"]["Item"] for action in request["TransactItems"] if "Put" in action]
    return [item["sk"]["S"] for item in items if "#L#" in item["pk"]["S"]]


class Crew:
    """Projects, in two spaces, and those who change them: two writers each, but for the last one, whose only writer is
    `behind`: its clock is. `sent` counts the changes that were acknowledged."""

    def __init__(self, crowd: Crowd, template: Template, time: Time) -> None:
        self._crowd, self._template, self._time = crowd, template, time
        self._left: Iterator[int] = iter(())
        self.sent = 0
        self.world, self._behind = self._on(crowd.invoke), self._on(crowd.invoke, BEHIND)
        self.projects = [self._new_project(number) for number in range(WRITERS // 2 + 1)]

    def work(self, threads: ThreadPoolExecutor, changes: int, kills: int) -> list["Future[None]"]:
        """Begins so many changes, and changes whose process is killed."""
        self._left = iter(range(changes))
        self.sent += changes + kills
        made = [threads.submit(self._write, number) for number in range(WRITERS)]
        return [*made, threads.submit(self._die, kills)]

    def publish(self, records: Sequence[Record], kills: int = 0) -> None:
        """Has all records published, in batches as the stream gives them. The process of the first ones is killed in
        their midst."""
        function, left = self._template.functions["PublishEvents"], list(records)
        while left:
            batch = left[:25]
            invoke = Killer(self._crowd, function.name, 27, "after") if kills else self._crowd.invoke
            kills = max(0, kills - 1)
            try:
                failed = self._time.invoker(invoke)(function, {"Records": batch})["batchItemFailures"]
            except FunctionFailed:
                continue
            again = {failure["itemIdentifier"] for failure in failed}
            left = [record for record in batch if record["dynamodb"]["SequenceNumber"] in again] + left[25:]

    def _on(self, invoke: Invoker, behind: float = 0) -> World:
        invoke = self._time.invoker(invoke, behind)
        gateway = Gateway(self._template.api, self._template.functions, invoke, self._template.stage)
        return World(through(gateway), self._crowd.world.dev, gateway=gateway)

    def _of(self, project: int) -> World:
        return self._behind if project == WRITERS // 2 else self.world

    def _new_project(self, number: int) -> str:
        world = self._of(number)
        path = world.projects(("default", "research")[number % 2])
        project = f"{path}/{done(world, 'POST', path, {'name': 'Apollo'}, key=new_key()).body['id']}"
        role = {"principal_id": world.uuid("contributor"), "role_id": world.role("contributor")}
        done(world, "POST", f"{project}/members", role, key=new_key())
        self.sent += 2
        return project

    def _write(self, writer: int) -> None:
        place = WRITERS // 2 if writer == WRITERS - 1 else writer // 2
        world, project, chance = self._of(place), self.projects[place], random.Random(f"{writer} {self.sent}")
        task = ""
        for _ in self._left:
            kind, by = chance.choice(sorted(RECORDS)), "owner"
            made: tuple[str, str, Any] = ("POST", f"{project}/tasks", RECORDS["tasks"])
            if task:
                made, by = chance.choice(
                    [
                        (("PATCH", project, {"name": new_key()}), "owner"),
                        (("POST", f"{project}/{kind}", RECORDS[kind]), "contributor"),
                        (("PATCH", task, {"name": new_key()}), "owner"),
                        (("PATCH", f"{flat_path(task)}/completed", {}), "owner"),
                        (("POST", f"{flat_path(task)}/notes", {"content": "Remember"}), "owner"),
                    ]
                )
            answer = done(world, *made, by=by, key=new_key())
            task = task or f"{project}/tasks/{answer.body['id']}"

    def _die(self, times: int) -> None:
        """A request whose process ends right before its commit or after it, and which is sent again."""
        for number in range(times):
            killer = Killer(self._crowd, "V1CreateTask", 2, ("before", "after")[number % 2])
            request, key = ("POST", f"{self.projects[number % 8]}/tasks", RECORDS["tasks"]), new_key()
            assert self._on(killer)(*request, key=key).status == 502
            assert killer.killed
            done(self.world, *request, key=key)


def ledger(crowd: Crowd, since: datetime) -> list[Item]:
    """The rows of the events since a moment, past the API."""
    first = f"{lowest_number(round(since.timestamp() * 1000)):024x}"
    rows: list[Item] = []
    for pk in keys.ledger_shards(tenant_of(crowd.world)):
        pages = crowd.client.get_paginator("query").paginate(
            TableName=TABLE_NAME,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk >= :first",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}},
        )
        rows += [plain_item(item) for page in pages for item in page["Items"]]
    return rows


def ids(rows: Iterable[Item]) -> set[str]:
    """Of the events: the copy of a late one has its id."""
    return {v1_id(str(row.get("event", row["sk"]))) for row in rows}


def dated(record: Record, time: Time) -> Record:
    """The stream's record with the moment of its commit, in whole seconds as the stream has it."""
    (id,) = (each["S"] for each in record["dynamodb"]["NewImage"]["last_events"]["L"])
    record["dynamodb"]["ApproximateCreationDateTime"] = int(time.committed[id])
    return record


@pytest.mark.timeout(1_800)
def test_poller_sees_exactly_the_committed_events_while_writers_fail_stall_and_are_killed(
    crowd: Crowd, template: Template, count: Count
) -> None:
    # Half a minute before the end of a day.
    start = (datetime.now(UTC) + timedelta(hours=1)).replace(hour=23, minute=59, second=30, microsecond=0)
    first = start - timedelta(seconds=BEHIND)
    time, stream = Time(crowd, start, random.Random(5)), Stream(crowd)
    crew = Crew(crowd, template, time)
    dev = crowd.world.dev
    one = crew.projects[0].rpartition("/")[2]
    filters: list[dict[str, Any]] = [
        {},
        {"type": ["task.*", "note.created"]},
        {"project_id": one},
        {"actor_id": crowd.world.uuid("contributor")},
        {"space_id": dev["tenants"]["acme"]["spaces"]["research"], "type": ["project.updated"]},
        {"project_id": one, "actor_id": crowd.world.uuid("owner"), "type": ["task.updated"]},
    ]
    # Those downwards, each with what was committed when it was begun.
    downwards: list[tuple[set[str], Poller]] = []
    over = threading.Event()

    with served(crew.world) as url, ThreadPoolExecutor(WRITERS + 2) as threads:
        reader = World(coded(over_http(url)), dev)
        pollers = [Poller(reader, timestamp(first), order="asc", **query) for query in filters]

        def follow() -> None:
            """The whole list each time, and the others in turn."""
            for turn in range(10**6):
                if over.is_set():
                    return
                pollers[0].poll()
                pollers[1 + turn % (len(pollers) - 1)].poll()
                if turn % full(5, 20) == 4:
                    committed = ids(ledger(crowd, first))
                    downwards.append((committed, Poller(reader, timestamp(first), order="desc").poll_all()))
                time.rest()

        following = threads.submit(follow)
        time.holds_up = True
        waiting: list[Record] = []
        try:
            for part in range(2):
                made = crew.work(threads, (CHANGES - KILLS) // 2, KILLS // 2)
                # The publisher is late, and at work beside the next writers.
                crew.publish(waiting, kills=part)
                for each in made:
                    each.result()
                waiting = [dated(record, time) for record in changes(stream.records())]
            crew.publish(waiting)
        finally:
            time.holds_up = False
            over.set()
            following.result()
        time.passes(31)
        rows = ledger(crowd, first)
        for query, poller in zip(filters, pollers, strict=True):
            poller.poll_all()
            taken = ids(row for row in rows if poller.takes(row))
            downwards.append((taken, Poller(reader, timestamp(first), order="desc", **query).poll_all()))

    late = ids(row for row in rows if "relisted" in row)
    assert len(ids(rows)) == crew.sent, "one event for each change that was acknowledged"
    assert late
    assert late <= ids(row for row in rows if row["project"] == flat_id(crew.projects[-1].rpartition("/")[2]))
    for poller in pollers:
        assert set(poller.seen) == ids(row for row in rows if poller.takes(row)), poller.query
        assert poller.twice <= late, poller.query
    for committed, poller in downwards:
        assert committed <= set(poller.seen) <= ids(row for row in rows if poller.takes(row)), poller.query
        assert poller.twice <= late, poller.query
    moments = [moment_of(row["sk"]) for row in rows]
    assert min(moments)[:10] < max(moments)[:10], "a day has ended in between"
    count(changes=crew.sent, late=len(late), stalled=time.stalled, failed_calls=time.failed)
