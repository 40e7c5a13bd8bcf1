"""Measures the calls and capacity units of each route, and computes what requests cost.

    make costs

Writes benchmarks/results/routes.json and the tables of the last `make bench`, then costs.json, deliveries.json
and the section of docs/operations.md. Tests compare the files with the routes.
"""

import json
import sys
import tempfile
from pathlib import Path

from atrium.api.authorizer import credentials
from atrium.store.engine import table as tables
from benchmarks import costs as dollars
from benchmarks import webhook_costs
from benchmarks.report import RESULTS, write
from benchmarks.rivals import written
from local.database import database
from local.template import Template
from local.terminal import FunctionOutput
from tests.support.capacity import Meter
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.world import KEY, inline

RESULT = RESULTS / "routes.json"


def main() -> None:
    # Keeps the functions' access logs out of the terminal.
    sys.stdout = FunctionOutput()
    with database(None, KEY) as engine, tempfile.TemporaryDirectory() as directory:
        engine.wait_until_ready()
        template = Template()
        costs = route_costs(template, engine.endpoint, Path(directory))
        measured = dollars.measured(template, engine.endpoint, Path(directory))
        deliveries = webhook_costs.measured(template, engine.endpoint, Path(directory))
    written(RESULT, costs, indent=1)
    written(dollars.RESULT, measured, indent=1)
    written(dollars.DELIVERIES, deliveries, indent=1)
    dollars.write(measured, deliveries, template)
    write(json.loads((RESULTS / "results.json").read_text()), costs)


def route_costs(template: Template, engine: str, directory: Path) -> dict[str, dict[str, int]]:
    """The costs of a request of each route on a small project, and of a starting authorizer. Sorted by name."""
    meter = Meter()
    costs = {}
    with inline(template, engine, directory, meter.invoke) as world:
        meter.watch(tables.table()._client)
        # The lists of projects first: each other request leaves one more project to list.
        for route in sorted(EVERY_ROUTE, key=lambda route: not route.endswith("ListProjects")):
            method, path, body = EVERY_ROUTE[route](world, a_project(world))
            if route == "V1ListEvents":
                # One event: how many of the others are in which partition, and so in one unit, is chance.
                path += "?limit=1"
            if route == "ListProjects":
                # Clears the authorizer's cache, so that it reads the table.
                credentials.cache_clear()
            meter.clear()
            answer = world(method, path, body)
            assert answer.status in (200, 201, 202, 204), (route, answer)
            costs[route] = dict(zip(("calls", "read", "written"), meter.of(route), strict=True))
            if route == "ListProjects":
                costs["Authorizer"] = dict(zip(("calls", "read", "written"), meter.of("Authorizer"), strict=True))
    return dict(sorted(costs.items()))


if __name__ == "__main__":
    main()
