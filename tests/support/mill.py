"""The way from a change to its deliveries as the cloud runs it, in one thread and on a clock of its own.

Events of the ledger get their numbers and go to the queue of events; queues bring their messages, and the sweep runs in
each minute in which something is due. Time passes only where nothing is left to do, so three days take as long as the
attempts in them.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

import pytest

from atrium import documents, keys
from atrium.ids import new_ids
from atrium.store.engine.table import table
from atrium.store.engine.wire import plain_item, wire_item, wire_key
from atrium.store.rows import to_event
from atrium.store.webhook_queues import LANES
from local import event_sources
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support import clock
from tests.support.client import World, flat_id

# Messages that a function has failed on are seen again after this time, as the template has it.
_SEEN_AGAIN = {"WebhookEvents": 180.0, "WebhookDeliveries": 240.0}
_FUNCTIONS = {"WebhookEvents": "FanOutEvents", "WebhookDeliveries": "DeliverEvents"}


class Mill:
    """Runs the functions behind webhooks of a world. `before` is called before each invocation, and may raise to end
    it; `event` is what the invocation takes. `invoked` counts the invocations by function."""

    def __init__(self, world: World, template: Template, patch: pytest.MonkeyPatch) -> None:
        assert world.table is not None
        assert world.queues is not None
        self._queues = {queue.settings.name.removesuffix(".fifo"): queue for queue in world.queues.by_arn.values()}
        self._world = world
        self._table = world.table
        self._template = template
        self._fed: set[str] = set()
        self.before: Callable[[str], object] = lambda _: None
        self.event: Any = None
        self.invoked: Counter[str] = Counter()
        self.took = 0.0
        # Seconds since 1970.
        self.now = time.time()
        # No attempt waits for the pace of its lane.
        clock.install(clock.unhurried(), patch.setattr)
        patch.setattr(event_sources, "time", SimpleNamespace(time=lambda: self.now, sleep=time.sleep))
        self.skip()

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def request(self, method: str, path: str, *body: Any, **options: Any) -> Any:
        """A request of the owner at the mill's moment."""
        with clock.telling(self.now):
            return self._world(method, path, *body, **options)

    def moment_told(self) -> AbstractContextManager[None]:
        """Inside, requests are made at the mill's moment."""
        return clock.telling(self.now)

    # ------------------------------------------------------------ events

    def skip(self) -> None:
        """The events so far are no business of the mill's."""
        self._fed |= {row["sk"]["S"] for row in self._ledger()}

    def feed(self) -> list[str]:
        """Gives the new events their numbers, and sends them to the queue of events. Returns their ids, in order."""
        new = [row for row in self._ledger() if row["sk"]["S"] not in self._fed]
        for row in sorted(new, key=lambda row: str(row["sk"]["S"])):
            self._fed.add(row["sk"]["S"])
            plain = {"sequence": 1, **plain_item(row)}
            self._table.write([wire_item(plain)])
            event = to_event(keys.tenant_of(plain["pk"]), plain)
            detail = documents.render(event.detail())
            self._queues["WebhookEvents"].send(f'{{"source":"atrium","detail":{detail}}}')
        return sorted(row["sk"]["S"] for row in new)

    def forget(self, event: str) -> None:
        """The table has removed an event, whose time is over."""
        (key,) = (key for key in self._table.items() if "#L#" in key.pk and key.sk == event)
        self._table.write([], [key])

    def copy_waiting(self, path: str, event: str, many: int) -> None:
        """Has so many more deliveries wait, which are copies of the one of an event."""
        webhook, event = (flat_id(each.rpartition("/")[2]) for each in (path, event))
        rows = {key: row for key, row in self._table.items().items() if webhook in key.pk and event in key.sk}
        told = next(row for key, row in self._table.items().items() if "#L#" in key.pk and key.sk == event)
        ids = new_ids(many, round(self.now * 1000))
        self._table.write([{**row, "sk": {"S": key.sk.replace(event, id)}} for id in ids for key, row in rows.items()])
        assert {key.sk.partition("#")[0] for key in rows} == {"D", "OPEN"}
        tenant = keys.tenant_of(told["pk"]["S"])
        self._table.write([{**told, **wire_key(keys.event(tenant, id))} for id in ids])
        self._fed |= {*ids}

    @contextmanager
    def dying(self, name: str, place: int, *, after: bool) -> Iterator[Callable[[], int]]:
        """Inside, the first invocation of a function that makes so many calls to the table, and one more, ends at that
        call: before it, or after it. Gives how many did."""
        made = deaths = 0
        running = ""
        client = table()._client

        def begin(invoked: str) -> None:
            nonlocal made, running
            made, running = 0, invoked

        def call(**_: Any) -> None:
            nonlocal made, deaths
            if running == name and not deaths:
                made += 1
                if made == place + 1:
                    deaths += 1
                    raise Killed

        self.before, hook = begin, "after-call" if after else "before-call"
        client.meta.events.register(hook, call)
        try:
            yield lambda: deaths
        finally:
            self.before = lambda _: None
            client.meta.events.unregister(hook, call)

    def due(self) -> list[Any]:
        """The rows of what is due, now or later."""
        rows = []
        for span in keys.due_until(_text(self.moment + timedelta(days=30))):
            found = self._table.answer(
                "Query",
                TableName=self._table.name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": span.pk}},
            )
            assert "LastEvaluatedKey" not in found
            rows += found["Items"]
        return rows

    def _ledger(self) -> list[Any]:
        return [row for key, row in self._table.items().items() if "#L#" in key.pk]

    # ------------------------------------------------------------ time

    def settle(self) -> None:
        """Does all that is to be done now."""
        busy = True
        while busy:
            busy = False
            for name in _FUNCTIONS:
                busy = self._take(name) or busy

    def run(self, seconds: float) -> None:
        """Does all that is to be done in so many seconds."""
        end = self.now + seconds
        self.settle()
        while (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            if self._is_minute():
                self.sweep()
            self.settle()
        self.now = end

    def run_at_once(self, seconds: float) -> None:
        """Does what is to be done in so many seconds, where deliveries take time: `took` says how long the attempts of
        an invocation took together. As many are under way as the template allows, each in a lane of its own; what waits
        is attempted in as many threads as there are lanes."""
        end = self.now + seconds
        (source,) = (each for each in self._template.event_sources if each.function.name == "DeliverEvents")
        under_way: list[tuple[float, int, Any]] = []
        deliveries = self._queues["WebhookDeliveries"]
        while True:
            while self._take("WebhookEvents"):
                pass
            while len(under_way) < (source.concurrency or 1) and (messages := deliveries.receive(1, within=0)):
                (message,) = messages
                self.took = 0.0
                answer = self._invoke("DeliverEvents", {"Records": [message.record(deliveries.settings)]})
                assert not answer["batchItemFailures"]
                alone = "event" in json.loads(message.body)
                took = self.took if alone else self.took / LANES
                heappush(under_way, (self.now + took, id(message), message))
            moments = [under_way[0][0]] if under_way else []
            moments += [at for at in [self._next()] if at is not None]
            if not moments or min(moments) > end:
                self.now = end
                return
            self.now = max(self.now, min(moments))
            while under_way and under_way[0][0] <= self.now:
                _, _, message = heappop(under_way)
                deliveries.delete(message)
            if self._is_minute():
                self.sweep()

    def step(self) -> None:
        """Does what is to be done now, or next."""
        at = self._next()
        before = self.invoked.total()
        self.settle()
        if self.invoked.total() == before:
            assert at is not None, "nothing is left to do"
            self.now = max(self.now, at)
            if self._is_minute():
                self.sweep()
            self.settle()

    def sweep(self) -> None:
        with suppress(Killed):  # the next one does all that this one has not done
            self._invoke("SweepDeliveries", {})

    def _is_minute(self) -> bool:
        return self.now % 60 == 0

    def _next(self) -> float | None:
        """When there is something to do: a message is seen, or the first minute in which something is due."""
        hidden = [
            message.hidden_until
            for name in _FUNCTIONS
            for message in self._queues[name]._messages
            if message.hidden_until > self.now
        ]
        due = min((row["sk"]["S"].partition("#")[0] for row in self.due()), default=None)
        if due is not None:
            seconds = max(datetime.fromisoformat(due).timestamp(), self.now + 0.001)
            hidden.append(-(-seconds // 60) * 60)
        return min(hidden, default=None)

    # ------------------------------------------------------------ functions

    def _take(self, name: str) -> bool:
        queue = self._queues[name]
        function = _FUNCTIONS[name]
        messages = queue.receive(10 if name == "WebhookEvents" else 1, within=0)
        if not messages:
            return False
        records = [message.record(queue.settings) for message in messages]
        try:
            answer = self._invoke(function, {"Records": records})
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        except (FunctionFailed, Killed):
            failed = {message.id for message in messages}
        for message in messages:
            if message.id in failed:
                queue.put_back(message, _SEEN_AGAIN[name])
            else:
                queue.delete(message)
        return True

    def _invoke(self, name: str, event: Any) -> Any:
        self.invoked[name] += 1
        self.event = event
        self.before(name)
        with clock.telling(self.now):
            return call(self._template.functions[name], event)


class Killed(BaseException):
    """The function's process ends here."""


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body_of(received: Any) -> Any:
    return json.loads(received.body)
