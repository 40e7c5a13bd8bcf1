"""Computes what requests cost in dollars: measured units and bytes, times dated prices.

`make costs` writes benchmarks/results/costs.json and deliveries.json, and the section of docs/operations.md; tests
compare them with the measurements.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from atrium.keys import Key, due_until, named
from atrium.settings import IDEMPOTENCY_DAYS
from atrium.store.engine import table as tables
from atrium.telemetry import UNITS
from benchmarks import webhook_costs
from benchmarks.report import RESULTS, table
from benchmarks.webhook_costs import GB, OF_A_LINE, OF_AN_ITEM
from local.template import ROOT, Template
from tests.support.capacity import WRITTEN, Meter, units
from tests.support.client import MISSING, World
from tests.support.world import inline

RESULT = RESULTS / "costs.json"
DELIVERIES = RESULTS / "deliveries.json"
PRICES = ROOT / "benchmarks" / "prices.json"
OPERATIONS = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- written by `make costs` -->", "<!-- until here -->"

# Numbers of characters in each text that is sent; all of them are ASCII.
TEXTS = (0, 500, 10_000)
PAGE = 25

DAYS = 30
OF_AN_EVENT = 64 * 1024

# The metrics of requests, which exist once for each dialect; all others exist once for the stack.
OF_A_REQUEST = {"Requests", "Latency", "Replays", "Conflicts", "Retries", "LostRaces"}

Figures = Mapping[str, int]


@dataclass(frozen=True)
class Asked:
    """A request, with its name in the table and its function."""

    title: str
    function: str
    method: str
    path: str
    body: Any = None


def requests(world: World, project: str, text: str) -> list[Asked]:
    """The requests, on one of a page of projects with this text. Tasks need one, so they have at least a character."""
    new = {"name": "Gemini", "description": {"summary": text}}
    task = {"name": "Clean the data", "description": text or "-", "phase": "modeling"}
    return [
        Asked("read a project", "V1GetProject", "GET", project),
        Asked(f"list {PAGE} projects, whole", "ListProjects", "GET", f"/projects?limit={PAGE}"),
        Asked("create a project", "V1CreateProject", "POST", world.projects(), new),
        Asked("change a project", "V1UpdateProject", "PATCH", project, {"name": "Mercury"}),
        Asked("create a task", "V1CreateTask", "POST", f"{project}/tasks", task),
    ]


# ---------------------------------------------------------------- measured


def measured(template: Template, engine: str, directory: Path) -> dict[str, dict[str, Any]]:
    """By request and text, the units and bytes of a request, which has an Idempotency-Key if it writes. `kept` and
    `expiring` are the billed bytes that it leaves in the table for good, and in the stored answer.
    """
    found: dict[str, dict[str, Any]] = {}
    for characters in TEXTS:
        place = directory / str(characters)
        place.mkdir()
        meter = Meter()
        with inline(template, engine, place, meter.invoke) as world:
            meter.watch(tables.table()._client)
            text = "x" * characters
            for _ in range(PAGE):
                made = world("POST", world.projects(), {"name": "Apollo", "description": {"summary": text}})
            project = f"{world.projects()}/{made.body['id']}"
            for asked in requests(world, project, text):
                figures = one(world, meter, asked)
                found.setdefault(asked.title, {"function": asked.function})[str(characters)] = figures
    return found


def one(world: World, meter: Meter, asked: Asked) -> dict[str, int]:
    meter.clear()
    key = None if asked.method == "GET" else asked.title.replace(" ", "-")
    with redirect_stdout(io.StringIO()) as said:
        answer = world(asked.method, asked.path, MISSING if asked.body is None else asked.body, key=key)
    assert answer.status in (200, 201), answer
    calls, read, written = meter.of(asked.function)
    sizes = {key: sizes for call in meter.calls for key, sizes in call.sizes.items()}
    grown = {key: after - before + (OF_AN_ITEM if not before else 0) for key, (before, after) in sizes.items()}
    # Few requests are the first of their process, so the member `cold` is not counted.
    lines = said.getvalue().replace(',"cold":true', "").splitlines()
    return {
        "calls": calls,
        "read": read,
        "written": written,
        "answered": len(answer.content) + sum(len(name) + len(value) + 4 for name, value in answer.headers.items()),
        "logged": sum(len(line.encode()) + OF_A_LINE for line in lines),
        "kept": sum(bytes for key, bytes in grown.items() if not expires(key)),
        "expiring": sum(bytes for key, bytes in grown.items() if expires(key)),
        "record": sum(2 * units(sizes[key][1], WRITTEN) for key in sizes if expires(key)),
    }


def expires(key: Key) -> bool:
    """Whether the row is a stored answer."""
    about = named(key)
    return about is not None and about.kind == "replay"


# ---------------------------------------------------------------- in dollars


def dollars(figures: Figures, memory: Mapping[str, int], function: str, paid: Mapping[str, Any]) -> dict[str, float]:
    """Dollars for a million such requests, by service; `memory` is that of each function, in MB. Storage is counted for
    a month, a stored answer for its whole life.
    """
    price = {name: each["dollars"] for name, each in paid["prices"].items()}
    assumed = paid["assumed"]
    writes = figures["written"] > 0

    def run(function: str, kind: str) -> float:
        """Dollars for a million invocations of a function."""
        seconds = assumed["milliseconds"][kind] / 1000
        return float(price["invocations"] + 1e6 * seconds * memory[function] / 1024 * price["compute"])

    def stored(bytes: int, days: float) -> float:
        return float(1e6 * bytes / GB * (price["storage"] + price["recovery"]) * days / DAYS)

    return {
        "requests": price["requests"],
        "functions": run(function, "route") + run("Authorizer", "authorizer"),
        "reads": (figures["read"] + 1 / assumed["authorizer_asks_once_in"]) * price["read_units"],
        "writes": figures["written"] * price["write_units"],
        "event": price["events"] + run("PublishEvents", "publisher") if writes else 0,
        "logs": 1e6 * figures["logged"] / GB * price["logs"],
        "traces": assumed["traced"] * price["traces"],
        "out": 1e6 * figures["answered"] / GB * price["transfer"],
        "key": stored(figures["expiring"], IDEMPOTENCY_DAYS),
        "kept": stored(figures["kept"], DAYS),
    }


def default_sampling(requests: float, price: float) -> tuple[float, float]:
    """X-Ray's default rule, for so many requests a month at random moments: the fraction that is traced (one a second
    and 5 % of the rest), and the dollars for a million requests.
    """
    a_second = requests / (DAYS * 86_400)
    first = (1 - math.exp(-a_second)) / a_second
    part = first + 0.05 * (1 - first)
    return part, part * price


def standing() -> tuple[int, int, int]:
    """The numbers of metrics, metrics of alarms, and dashboards of a stack and its stack of alarms."""
    alarms = dashboards = 0
    for resource in yaml_parse((ROOT / "observability.yaml").read_text())["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            asked = resource["Properties"].get("Metrics")
            alarms += sum("MetricStat" in each for each in asked) if asked else 1
        dashboards += resource["Type"] == "AWS::CloudWatch::Dashboard"
    return 2 * len(OF_A_REQUEST) + len(UNITS.keys() - OF_A_REQUEST), alarms, dashboards


# ---------------------------------------------------------------- as Markdown

COLUMNS = {
    "requests": "API",
    "functions": "Lambda",
    "reads": "read",
    "writes": "written",
    "event": "event",
    "logs": "logs",
    "traces": "X-Ray",
    "out": "out",
    "key": "key, 30 days",
    "kept": "kept, a month",
}


def section(
    costs: Mapping[str, Any], deliveries: Mapping[str, Any], template: Template, paid: Mapping[str, Any]
) -> str:
    memory = {name: function.memory for name, function in template.functions.items()}
    price = {name: each["dollars"] for name, each in paid["prices"].items()}
    assumed, create = paid["assumed"], costs["create a project"]["500"]
    milliseconds = assumed["milliseconds"]
    of_key = create["record"] * price["write_units"] + dollars(create, memory, "V1CreateProject", paid)["key"]
    part, default = default_sampling(1e6, price["traces"])
    metrics, alarms, dashboards = standing()
    swept = sweeps(memory["SweepDeliveries"], price, milliseconds["sweep"])
    idle = (
        *(metrics * price["metrics"], alarms * price["alarms"], dashboards * price["dashboards"], price["keys"]),
        swept,
    )
    texts = f"{', '.join(f'{each:,}' for each in TEXTS[:-1])} and {TEXTS[-1]:,}"
    source = table(
        ("", "$", "of", "source"),
        ([each["what"], amount(each["dollars"]), each["of"], each["source"]] for each in paid["prices"].values()),
    )
    spent = table(("", *COLUMNS.values(), "together"), rows(costs, memory, paid))
    text = f"""The prices are those of {paid["region"]}, first tier, without a free tier, each as it stood at its source
on that day (`benchmarks/prices.json`). Most sources are not AWS's: ask AWS's own calculator before you rely on them.

{source}

The table gives a million requests, in dollars, with texts of {texts} characters: the project's description, and the
task's. The units are measured, and the bytes of answers, of lines in the log and of items. The durations are assumed,
since there was no AWS to measure them on: {milliseconds["route"]} ms in a route (at {memory["V1GetProject"]} MB, the
list at {memory["ListProjects"]}), {milliseconds["authorizer"]} ms in the authorizer (at {memory["Authorizer"]} MB; it
runs for each request, and asks the table for one in {assumed["authorizer_asks_once_in"]}), and
{milliseconds["publisher"]} ms to publish an event, each change by itself. The number in front of a colon gives the
units: a consistent read takes one for each 4 KB, a transaction two for each KB of each item, its checks included.
Answers are counted without compression.

{spent}

The last column is the part of the storage that is paid every month again: {price["storage"] + price["recovery"]:.2f} a
GB, {price["recovery"]:.2f} of it for point-in-time recovery; an item counts 100 bytes more than it has. The stored
answer of an `Idempotency-Key` lasts {IDEMPOTENCY_DAYS} days: a creation with 500 characters stores
{create["expiring"]:,} bytes for this time,
beside the {create["kept"]:,} that stay. Without a key the same creation costs {of_key:.2f} less,
including {create["record"]} write units. A long text is written again with every change of its project, since the
project's own item takes part in each. Lambda reads the stream free of charge, and the table deletes expired stored
answers free of charge.

X-Ray records {assumed["traced"]:.0%} of the requests, by a rule of the stack. X-Ray's default rule, one a second and
5 % of the rest, would record {part:.0%} of a million requests a month, and cost {default:.2f}.

A stack without requests costs {sum(idle):.2f} a month: {metrics} custom metrics {idle[0]:.2f}, once each has had a
value in the month; {alarms} metrics of alarms {idle[1]:.2f}; {number(dashboards, "dashboard")} {idle[2]:.2f}, the
account's first three being free; the key that derives the secrets of webhooks {idle[3]:.2f}, also once its stack is
deleted; the sweep of deliveries each minute {idle[4]:.2f} (assumed to take {milliseconds["sweep"]} ms); the other
sweep, next to nothing. Lambda asks each of the three queues for messages all the time, which SQS bills above its first
million requests a month.

{webhook_costs.section(deliveries, template, paid)}"""
    parts = [part if part.startswith("|") else fill(part, 120) for part in text.split("\n\n")]
    return "\n\n".join((BEGIN, *parts, END))


def sweeps(memory: int, price: Mapping[str, float], milliseconds: float) -> float:
    """Dollars of the sweeps of deliveries in a month in which nothing is due. An empty query of a partition takes a
    unit."""
    runs = DAYS * 24 * 60
    compute = milliseconds / 1000 * memory / 1024 * price["compute"]
    return runs * (price["invocations"] / 1e6 + compute + len(due_until("")) * price["read_units"] / 1e6)


def rows(costs: Mapping[str, Any], memory: Mapping[str, int], paid: Mapping[str, Any]) -> Iterator[list[str]]:
    for title, by_text in costs.items():
        for characters in map(str, TEXTS):
            figures = by_text[characters]
            spent = dollars(figures, memory, by_text["function"], paid)
            units = {"reads": figures["read"], "writes": figures["written"]}
            cells = [f"{units[name]}: {each:.2f}" if units.get(name) else money(each) for name, each in spent.items()]
            yield [f"{title}, {int(characters):,}", *cells, f"**{sum(spent.values()):.2f}**"]


def money(dollars: float) -> str:
    return f"{dollars:.2f}" if dollars else ""


def amount(dollars: float) -> str:
    """An amount without an exponent, with at least two decimals."""
    text = f"{dollars:.10f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def number(count: int, what: str) -> str:
    return f"{'a' if count == 1 else count} {what}{'s' if count != 1 else ''}"


def write(costs: Mapping[str, Any], deliveries: Mapping[str, Any], template: Template) -> None:
    """Writes the section between its marks."""
    before, _, rest = OPERATIONS.read_text().partition(BEGIN)
    _, _, behind = rest.partition(END)
    OPERATIONS.write_text(f"{before}{section(costs, deliveries, template, prices())}{behind}")


def prices() -> dict[str, Any]:
    """The prices and assumptions; the fraction of traced requests is that of template.yaml."""
    found: dict[str, Any] = json.loads(PRICES.read_text())
    found["assumed"]["traced"] = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]["TracingRate"][
        "Default"
    ]
    return found
