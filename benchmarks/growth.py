"""What requests take in a tenant that has little, and in one that has much."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrium.store import table as tables
from atrium.store.projects import MAX_MEMBERS
from benchmarks.cold import Request
from benchmarks.recorded import recording_world
from benchmarks.rivals import Field, written
from benchmarks.warm import warm_requests
from local.template import Template
from tests.capacity import Meter
from tests.growth import MORE, WITH_TASKS, Cost, a_place, costs

# How many there are. One more member is added, and removed, at each size.
SIZES = {
    "projects": (1, 100, 10_000),
    WITH_TASKS: (1, 100, 1_000),
    "members": (1, 100, MAX_MEMBERS - 2),
    "tasks": (1, 100, 10_000),
}
PAGE = 50

ROUNDS, COUNT = 9, 25


@dataclass(frozen=True)
class Seen:
    """What was asked of how many, a page having at most `limit` entries; what that cost, and the events of it."""

    size: int
    limit: int
    costs: Mapping[str, Cost]
    events: Mapping[str, Any]
    answers: Mapping[str, str]
    environment: Mapping[str, str]


def growth(field: Field, template: Template, engine: str, directory: Path) -> dict[str, Any]:
    """By what there is more and more of, and by function: the figures at each size."""
    found: dict[str, Any] = {}
    for of in MORE:
        seen = list(grown(template, engine, directory / of, of))
        found[of] = {
            route: figures(of, route, seen, measured)
            for measured in [processor_time(field, directory / of, seen)]
            for route in seen[0].costs
        }
    return found


def grown(template: Template, engine: str, directory: Path, of: str) -> Iterator[Seen]:
    meter = Meter()
    with recording_world(template, engine, directory, meter.invoke) as (world, recording):
        meter.watch(tables.table()._client)
        place = a_place(of, world, meter.look, tables.table().name)
        there = 0 if of == "tasks" else 1
        for size in SIZES[of]:
            MORE[of](place, size - there)
            there = size
            for limit in (1, PAGE):
                recording.answers, recording.events = {}, {}
                cost = costs(place, meter, of, limit)
                yield Seen(size, limit, cost, recording.events, recording.answers, recording.environment)


def processor_time(field: Field, directory: Path, seen: list[Seen]) -> dict[tuple[str, int, int], float]:
    """Microseconds of a request: of each route among few and among many, and of whole pages."""
    few, many = seen[0].size, seen[-1].size
    asked = {}
    for each in seen:
        name = f"{each.size}-{each.limit}"
        answers = written(directory / f"{name}-answers.json", each.answers)
        for route in each.costs:
            if (each.limit == 1 and each.size in (few, many)) or ("List" in route and each.size == many):
                rival = field.ours(route)
                event = written(directory / f"{name}-{route}.json", each.events[route])
                request = Request(event, rival.variables(each.environment, "http://localhost:1"))
                asked[route, each.size, each.limit] = (rival, request, answers)
    return warm_requests(asked, ROUNDS, COUNT)


def figures(of: str, route: str, seen: list[Seen], measured: Mapping[tuple[str, int, int], float]) -> dict[str, Any]:
    """`costs` by size; `cpu` in microseconds among few and among many; for a list, the same of a page of many, and
    `item`, the microseconds that one entry more takes."""
    few, many = SIZES[of][0], SIZES[of][-1]
    found: dict[str, Any] = {
        "costs": {str(each.size): each.costs[route] for each in seen if each.limit == 1},
        "cpu": [measured[route, few, 1], measured[route, many, 1]],
    }
    if "List" in route:
        page = measured[route, many, PAGE]
        found["page"] = {str(each.size): each.costs[route] for each in seen if each.limit == PAGE}
        found["item"] = (page - measured[route, many, 1]) / (PAGE - 1)
    return found
