"""What each route asks of the table: calls, and the capacity units that they take.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.routes

Writes benchmarks/results/routes.json. A test holds the file against the routes.
"""

import tempfile
from pathlib import Path

from atrium.api.authorizer import credentials
from atrium.store import table as tables
from benchmarks.rivals import written
from local.database import database
from local.template import ROOT, Template
from tests.capacity import Meter
from tests.conftest import inline
from tests.test_round_trips import EVERY_ROUTE, a_project

RESULT = ROOT / "benchmarks" / "results" / "routes.json"


def main() -> None:
    with database(None) as engine, tempfile.TemporaryDirectory() as directory:
        engine.wait_until_ready()
        costs = route_costs(Template(), engine.endpoint, Path(directory))
    written(RESULT, costs, indent=1)


def route_costs(template: Template, engine: str, directory: Path) -> dict[str, dict[str, int]]:
    """Of a request of each route on a small project, and of an authorizer that starts. Sorted by name."""
    meter = Meter()
    costs = {}
    with inline(template, engine, directory, meter.invoke) as world:
        meter.watch(tables.table()._client)
        for route, request in EVERY_ROUTE.items():
            method, path, body = request(world, a_project(world))
            if route == "ListProjects":
                # Not yet known, so that the authorizer asks, too.
                credentials.cache_clear()
            meter.clear()
            answer = world(method, path, body)
            assert answer.status in (200, 201, 204), (route, answer)
            costs[route] = dict(zip(("calls", "read", "written"), meter.of(route), strict=True))
            if route == "ListProjects":
                costs["Authorizer"] = dict(zip(("calls", "read", "written"), meter.of("Authorizer"), strict=True))
    return dict(sorted(costs.items()))


if __name__ == "__main__":
    main()
