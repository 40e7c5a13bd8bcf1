"""Reports a run of the benchmarks: a verdict on each target, tables, and README's section."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks.growth import PAGE, SIZES
from benchmarks.rivals import CREATE, OURS
from benchmarks.turns import ratio
from local.template import ROOT
from tests.support.growth import WITH_TASKS

RESULTS = ROOT / "benchmarks" / "results"
ROUTES = tuple(name for name in OURS if name != "Authorizer")
BEGIN, END = "<!-- written by `make bench` -->", "<!-- until here -->"

Results = Mapping[str, Any]
# Of each route.
Costs = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Line:
    """A target, which is met if `figure` is at most `limit`."""

    target: str
    figure: float
    limit: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.figure <= self.limit

    def cells(self) -> tuple[str, str, str, str]:
        figure, limit = (
            f"{value:.2f}{self.unit}" if self.unit == "x" else f"{value:.1f} {self.unit}"
            for value in (self.figure, self.limit)
        )
        return self.target, figure, limit, "met" if self.met else "**missed**"


def verdict(results: Results) -> list[Line]:
    """The targets. None is a time: each is a ratio of two times measured in turns, or another figure."""
    cold, warm, layer = results["cold"], results["warm"], results["layer"]
    routes, slow = [*ROUTES, results["slowest"]], results["slowest"]
    init = {name: figures["init_cpu"] for name, figures in cold.items()}
    return [
        Line(
            f"init of the slowest route ({slow}), processor time, of a bare handler's",
            ratio(init[slow], init["bare"]),
            9,
        ),
        Line("… of a bare handler's with a boto3 client", ratio(init[slow], init["boto3_client"]), 1.4),
        Line("… of FastAPI + Mangum's", ratio(init[slow], init["fastapi"]), 0.7),
        Line("… of a route's without bytecode", ratio(init[CREATE], init["no_bytecode"]), 0.4),
        Line(
            "first request over TLS, processor time, of a bare handler's with a boto3 client",
            ratio(cold[CREATE]["first_cpu"], cold["boto3_client"]["first_cpu"]),
            0.33,
        ),
        Line(
            "warm creation, processor time, of a bare handler's with the same calls",
            ratio(warm[CREATE], warm["boto3_client"]),
            1.3,
        ),
        Line("… of FastAPI + Mangum's", ratio(warm[CREATE], warm["fastapi"]), 1),
        Line("peak memory of a route", max(median(cold[name]["memory"]) for name in routes), 54, "MB"),
        Line("the layer, unzipped", layer["unzipped"], 30, "MB"),
        Line("… zipped", layer["zipped"], 10, "MB"),
        Line("init of the authorizer, processor time, of a route's", ratio(init["Authorizer"], init[CREATE]), 0.8),
        *of_growth(results["growth"]),
    ]


def of_growth(growth: Mapping[str, Any]) -> Iterable[Line]:
    units, times, entries = [], [], []
    for of, routes in growth.items():
        for found in routes.values():
            units += [spread(found["costs"])] + ([spread(found["page"], whole=True)] if "page" in found else [])
            times.append(ratio(found["cpu"]["many"], found["cpu"]["few"]))
            # An entry with tasks costs a query of its own.
            if "entry" in found and of != WITH_TASKS:
                entries.append(ratio(found["entry"]["all"], found["entry"]["sdk"]))
    yield Line(
        "calls and units of pages, single reads and creations among the most, of those among one", max(units), 1.1
    )
    yield Line("… their processor time", max(times), 1.2)
    yield Line("processor time of one more entry in a list, of the SDK's parsing the same entry", max(entries), 1.5)


def spread(costs: Mapping[str, list[int]], *, whole: bool = False) -> float:
    """The ratio of the most calls, or units, to the fewest; with `whole`, only of sizes that fill a page."""
    seen = [cost for size, cost in costs.items() if not whole or int(size) >= PAGE]
    ratios: list[float] = [max(kind) / max(min(kind), 1) for kind in zip(*seen, strict=True)]
    return max(ratios)


# ---------------------------------------------------------------- as Markdown


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = list(head)
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def of_rivals(results: Results) -> str:
    cold, warm = results["cold"], results["warm"]
    bare, client = cold["bare"], cold["boto3_client"]

    def row(rival: Mapping[str, Any]) -> list[str]:
        name, figures = rival["name"], cold[rival["name"]]
        first = "" if name == "bare" else f"{median(figures['first_cpu']):.1f}"
        label = f"**{rival['label']}**" if rival["ours"] else rival["label"]
        return [
            label,
            f"{median(figures['init']):.0f}",
            f"{median(figures['init_cpu']):.0f}",
            f"{ratio(figures['init_cpu'], bare['init_cpu']):.1f}",
            f"{ratio(figures['init_cpu'], client['init_cpu']):.2f}",
            first,
            f"{median(figures['memory']):.0f}",
            f"{median(warm[name]):.0f}" if name in warm else "",
        ]

    head = (
        "",
        "init ms",
        "init, CPU ms",
        "x bare",
        "x bare + boto3",
        "first request, CPU ms",
        "peak memory MB",
        "warm request, CPU µs",
    )
    return table(head, map(row, results["rivals"]))


def of_verdict(results: Results) -> str:
    return table(("target", "figure", "at most", ""), (line.cells() for line in verdict(results)))


def of_growing(results: Results) -> str:
    rows = []
    for of, routes in results["growth"].items():
        for route, found in routes.items():
            costs = [" ".join(map(str, cost)) for cost in found["costs"].values()]
            few, many = found["cpu"]["few"], found["cpu"]["many"]
            row = [f"{route}, {of}", *costs, f"{median(few):.0f}", f"{median(many):.0f}", f"{ratio(many, few):.2f}"]
            if "entry" in found:
                every, sdk = found["entry"]["all"], found["entry"]["sdk"]
                row += [f"{median(every):.0f}", f"{ratio(every, sdk):.2f}"]
            rows.append(row + [""] * (8 - len(row)))
    few, some, many = SIZES["projects"]
    head = (
        "among",
        f"{few}",
        f"{some}",
        f"{many:,}",
        f"CPU µs among {few}",
        "among the most",
        "ratio",
        "µs an entry more",
        "of the SDK's parsing",
    )
    return table(head, rows)


def tables(results: Results, costs: Costs) -> str:
    about = results["about"]
    routes = table(("", "calls", "read units", "write units"), ([name, *cost.values()] for name, cost in costs.items()))
    how = (
        f"`make bench` writes this folder. Python {about['python']} on {about['processor']}; "
        f"{about['processes']} fresh processes of each, all of them in turns; load at the start {about['load']}. "
        "A ratio is the median of the ratios of the turns that stand side by side, a time the median of its turns: "
        "ratios carry over to a slower or a busier machine, times do not."
    )
    return f"""# What the benchmarks found

{fill(how, 120)}

![Init, first request, warm request and growth](speed.png)

## Each target

{of_verdict(results)}

## Beside others

{of_rivals(results)}

Init is what Lambda's own runtime reports, and peak memory its process's. Processor time, of init from the start of the
interpreter on and of the first request, is taken in a process of its own; the ratios of inits are of that, since what
else the machine does is not in it. Both ask, over TLS, a table that answers at once. A warm request is answered in the
process: what is left is the function and the SDK. All but the bare handler make the calls of a creation: one
BatchGetItem, one TransactWriteItems of five items. A peer has pip's wheels, with bytecode as ours is, unless it says
otherwise. Flask's and FastAPI's routes validate the same body and answer the same.

## Growth

Calls, read units and write units of one request; a page has one entry. Of members a project has a thousand at most,
and projects with tasks were a thousand, too.

{of_growing(results)}

`ListProjects` shows each project with its tasks and its team. Those that never had any come in one batch; each of the
others is a query of its own, which is what an entry more of them costs. An entry more is what a page of {PAGE} takes
beyond one of a single entry, for each; beside it, how many times what the SDK takes to parse that entry out of the same
answers of the table.

## Calls and capacity of each route

On a small project, read consistently: units of 4 KB read and of 1 KB written, a transaction's twice. The authorizer
writes one unit more once an hour, when it notes that a credential was used.

{routes}
"""


def readme_section(results: Results) -> str:
    lines = verdict(results)
    met = sum(line.met for line in lines)
    python, processes = results["about"]["python"], results["about"]["processes"]
    text = (
        f"Medians of {processes} fresh processes of each, in turns, on Python {python} in Lambda's own runtime, "
        "from the built artefact, on a table that answers at once. Ratios are of turns side by side and carry over to "
        f"other machines, milliseconds do not; no target is a time. {met} of {len(lines)} targets are met: "
        "[each of them](benchmarks/results/README.md), with the calls and capacity units of every route, and what ten "
        "thousand projects change."
    )
    picture = "![Init, first request, warm request and growth](benchmarks/results/speed.png)"
    return "\n\n".join((BEGIN, picture, of_rivals(results), fill(text, 120), END))


def write(results: Results, costs: Costs) -> None:
    """Writes the tables, and README's section between its marks."""
    (RESULTS / "README.md").write_text(tables(results, costs))
    path = ROOT / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, behind = rest.partition(END)
    path.write_text(f"{before}{readme_section(results)}{behind}")


def summary(results: Results) -> str:
    """A summary for the terminal."""
    rows = [("target", "figure", "at most", ""), *(line.cells() for line in verdict(results))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3].strip('*')}" for row in rows
    )
