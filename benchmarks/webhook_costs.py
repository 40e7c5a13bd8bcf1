"""Computes what a million deliveries to webhooks cost in dollars: measured units, bytes and messages, times dated
prices. `make costs` writes it into benchmarks/results/deliveries.json and into the section of docs/operations.md.
"""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from atrium.store.engine import table as tables
from benchmarks.report import table
from local.event_sources import MessageQueue
from local.template import Template
from tests.support.capacity import Meter
from tests.support.client import World
from tests.support.receiver import Receiver, receiver
from tests.support.webhooks import new_webhook
from tests.support.world import inline

GB = 2**30
# Bytes that are billed in addition to the data: for each stored item, and for each line of a log.
OF_AN_ITEM, OF_A_LINE = 100, 26
# SQS is asked to send a message, to receive it and to delete it.
REQUESTS_OF_A_MESSAGE = 3

# The function of each step, and whether its message has a delay or a group.
EVENTS, DELIVERIES = "FanOutEvents", "DeliverEvents"

Step = Mapping[str, int]


def measured(template: Template, engine: str, directory: Path) -> dict[str, dict[str, int]]:
    """By step, its calls of the table, their units, and its bytes: `kept` those that it leaves in the table, `logged`
    those of its lines, `posted` those of the request to the receiver. `events` and `deliveries` are how many messages
    it sends to the queue of each.
    """
    place = directory / "webhooks"
    place.mkdir()
    meter = Meter()
    with inline(template, engine, place, meter.invoke) as world, receiver() as answering:
        meter.watch(tables.table()._client)
        work = _Steps(world, template, meter)
        project = world.new_project()
        found = {"fan out to none": work.fan_out(work.event(project))}
        # The first success shows that the URL works: until then deliveries wait.
        new_webhook(world, url=answering.url, events=["project.updated"])
        work.fan_out(work.event(project))
        work.deliver()
        found["fan out to one"] = work.fan_out(work.event(project))
        found["deliver"] = work.deliver(answering)
        answering.answer = lambda _: 500
        work.fan_out(work.event(project))
        found["fail"] = work.deliver(answering)
    return found


class _Steps:
    """The steps of an event's way to webhooks, one invocation each."""

    def __init__(self, world: World, template: Template, meter: Meter) -> None:
        assert world.queues is not None
        queues = {queue.settings.name.removesuffix(".fifo"): queue for queue in world.queues.by_arn.values()}
        self._events, self._deliveries = queues["WebhookEvents"], queues["WebhookDeliveries"]
        self._world = world
        self._template = template
        self._meter = meter
        self._changes = 0

    def event(self, project: str) -> str:
        """A new event as the bus sends it."""
        self._changes += 1
        assert self._world("PATCH", project, {"name": f"Gemini {self._changes}"}).status == 200
        (event,) = self._world("GET", "/v1/events?limit=1").body["data"]
        return json.dumps({"source": "atrium", "detail": event})

    def fan_out(self, event: str) -> dict[str, int]:
        self._events.send(event)
        return self._invoke(EVENTS, self._events)

    def deliver(self, answering: Receiver | None = None) -> dict[str, int]:
        if answering:
            answering.received.clear()
        done = self._invoke(DELIVERIES, self._deliveries)
        if answering:
            (got,) = answering.received
            done["posted"] = len(got.body) + sum(len(name) + len(value) + 4 for name, value in got.headers.items())
        return done

    def _invoke(self, function: str, queue: MessageQueue) -> dict[str, int]:
        (message,) = queue.receive(10, within=0)
        queue.delete(message)
        waiting = len(self._events._messages), len(self._deliveries._messages)
        self._meter.clear()
        with redirect_stdout(io.StringIO()) as said:
            records = {"Records": [message.record(queue.settings)]}
            answer = self._meter.invoke(self._template.functions[function], records)
        assert answer == {"batchItemFailures": []}, answer
        calls, read, written = self._meter.of(function)
        sizes = [sizes for call in self._meter.calls for sizes in call.sizes.values()]
        lines = said.getvalue().replace(',"cold":true', "").splitlines()
        return {
            "calls": calls,
            "read": read,
            "written": written,
            "kept": sum(after - before + (OF_AN_ITEM if not before else 0) for before, after in sizes),
            "logged": sum(len(line.encode()) + OF_A_LINE for line in lines),
            "posted": 0,
            "events": len(self._events._messages) - waiting[0],
            "deliveries": len(self._deliveries._messages) - waiting[1],
        }


# ---------------------------------------------------------------- in dollars


def dollars(
    steps: Mapping[str, Step], memory: Mapping[str, int], paid: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """By row of the table, the dollars of a million by service; `memory` is that of each function, in MB. Each event is
    brought alone, and has one webhook: the dearest way. Storage is that of a month.
    """
    price = {name: each["dollars"] for name, each in paid["prices"].items()}
    seconds = {name: each / 1000 for name, each in paid["assumed"]["milliseconds"].items()}

    def run(function: str, kind: str) -> float:
        """Dollars for a million invocations of a function."""
        return float(price["invocations"] + 1e6 * seconds[kind] * memory[function] / 1024 * price["compute"])

    def row(functions: float, events: int, deliveries: int, *done: Step) -> dict[str, float]:
        total = {name: sum(step[name] for step in done) for name in done[0]}
        return {
            "messages": REQUESTS_OF_A_MESSAGE * (events * price["messages"] + deliveries * price["fifo_messages"]),
            "functions": functions,
            "reads": total["read"] * price["read_units"],
            "writes": total["written"] * price["write_units"],
            "logs": 1e6 * total["logged"] / GB * price["logs"],
            "out": 1e6 * total["posted"] / GB * price["transfer"],
            "kept": 1e6 * total["kept"] / GB * (price["storage"] + price["recovery"]),
        }

    fan_out, deliver = run(EVENTS, "fan_out"), run(DELIVERIES, "receiver")
    # The message of an event is the bus's. The one of a repetition comes by way of the fan-out.
    return {
        "events that no webhook gets": row(fan_out, 1, 0, steps["fan out to none"]),
        "deliveries that arrive at once": row(fan_out + deliver, 1, 1, steps["fan out to one"], steps["deliver"]),
        "attempts that fail, with what repeats them": row(deliver + fan_out, 1, 1, steps["fail"]),
    }


COLUMNS = {
    "messages": "SQS",
    "functions": "Lambda",
    "reads": "read",
    "writes": "written",
    "logs": "logs",
    "out": "out",
    "kept": "kept, a month",
}


def section(steps: Mapping[str, Step], template: Template, paid: Mapping[str, Any]) -> str:
    """The costs of webhooks, as paragraphs of Markdown."""
    memory = {name: function.memory for name, function in template.functions.items()}
    milliseconds = paid["assumed"]["milliseconds"]
    spent = dollars(steps, memory, paid)
    none, one, fine, fail = (steps[name] for name in ("fan out to none", "fan out to one", "deliver", "fail"))
    rows = (
        [title, *(f"{each:.2f}" if each else "" for each in row.values()), f"**{sum(row.values()):.2f}**"]
        for title, row in spent.items()
    )
    return f"""Webhooks are not in these figures, and cost in dollars for a million:

{table(("", *COLUMNS.values(), "together"), rows)}

Each event takes a message and an invocation of `{EVENTS}` whether its tenant has webhooks or not; the figures assume
one event an invocation, which takes {milliseconds["fan_out"]} ms, where up to ten share one. Each attempt takes an
invocation of `{DELIVERIES}` (at {memory[DELIVERIES]} MB), which lasts as long as the receiver takes, here
{milliseconds["receiver"]} ms. Measured are the calls of the table and the units that they read and write: of an event
without a webhook {units_of(none)}, of one with a webhook {units_of(one)}, of an attempt that arrives {units_of(fine)},
and of one that fails {units_of(fail)}. KMS is asked once in five minutes by each process for each webhook: 0.03 for
10,000 times."""


def units_of(step: Step) -> str:
    calls = f"{step['calls']} call{'s' if step['calls'] > 1 else ''}"
    return f"{calls} ({step['read']} read, {step['written']} written)"
