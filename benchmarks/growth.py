"""Compares requests in a tenant that has few projects and records with requests in one that has many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atrium.store.change import MAX_MEMBERS
from atrium.store.engine import table as tables
from benchmarks.recorded import recording_world
from benchmarks.rivals import Field, written
from benchmarks.turns import Samples, beyond
from benchmarks.warm import Kept, Turn, warm_requests
from local.template import Template
from tests.support.capacity import Meter
from tests.support.growth import MORE, WITH_TASKS, Cost, a_place, costs

# The numbers at which requests are measured. At each size one more member is added, and removed.
SIZES = {
    "projects": (1, 100, 10_000),
    WITH_TASKS: (1, 100, 1_000),
    "members": (1, 100, MAX_MEMBERS - 2),
    "tasks": (1, 100, 10_000),
}
PAGE = 50

ROUNDS, COUNT = 25, 10

# The measured turns: a request among few, and among many. Lists have three more: a whole page among many, and the time
# in which the SDK alone parses the answers to either.
FEW, MANY, WHOLE, SDK_MANY, SDK_WHOLE = TURNS = (
    *(("handler", case) for case in range(3)),
    *(("sdk", case) for case in (1, 2)),
)


@dataclass(frozen=True)
class Seen:
    """A route at a size: the size, the `limit` of a page, the costs, and the recorded events."""

    size: int
    limit: int
    costs: Mapping[str, Cost]
    events: Mapping[str, Any]
    answers: Mapping[str, str]
    environment: Mapping[str, str]


def growth(field: Field, template: Template, engine: str, directory: Path) -> dict[str, Any]:
    """The figures at each size, by kind of growing resource and by function."""
    found: dict[str, Any] = {}
    for of in MORE:
        seen = list(grown(template, engine, directory / of, of))
        measured = processor_time(field, directory / of, seen)
        found[of] = {route: figures(route, seen, turns) for route, turns in measured.items()}
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


def processor_time(field: Field, directory: Path, seen: list[Seen]) -> dict[str, dict[Turn, Samples]]:
    """Microseconds of a request, by route and turn; all turns of a route run in one process."""
    few, many = seen[0].size, seen[-1].size
    compared = [each for each in seen if (each.size, each.limit) in ((few, 1), (many, 1), (many, PAGE))]
    kept = {}
    for route in seen[0].costs:
        rival = field.ours(route)
        cases = []
        for each in compared:
            name = f"{each.size}-{each.limit}"
            event = written(directory / f"{name}-{route}.json", each.events[route])
            cases.append((event, written(directory / f"{name}-answers.json", each.answers)))
        variables = rival.variables(compared[0].environment, "http://localhost:1")
        kept[route] = Kept(rival, variables, cases, TURNS if "List" in route else (FEW, MANY))
    return warm_requests(kept, ROUNDS, COUNT)


def figures(route: str, seen: list[Seen], turns: Mapping[Turn, Samples]) -> dict[str, Any]:
    """The `costs` by size, and `cpu` in microseconds among few and among many. For a list also the microseconds of each
    further `entry` of a page, in total and for the SDK alone. All times are lists with a figure for each round.
    """
    found: dict[str, Any] = {
        "costs": {str(each.size): each.costs[route] for each in seen if each.limit == 1},
        "cpu": {"few": turns[FEW], "many": turns[MANY]},
    }
    if "List" in route:
        found["page"] = {str(each.size): each.costs[route] for each in seen if each.limit == PAGE}
        found["entry"] = {
            "all": beyond(turns[WHOLE], turns[MANY], PAGE - 1),
            "sdk": beyond(turns[SDK_WHOLE], turns[SDK_MANY], PAGE - 1),
        }
    return found
