"""Compares cold starts on two versions of Python, in turns, to choose the functions' runtime.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.pythons python3.13 /path/to/python3.14

The interpreters should be built alike, for example both by one distribution. Prints the medians of each, and the ratios
of the second to the first.
"""

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.cold import Request, cold_starts
from benchmarks.recorded import ask_every_route, certify, instant_table, recording_world
from benchmarks.rivals import BENCH, Rival, build_ours, make_runtime, ours, trust, written
from benchmarks.turns import ratio
from layers.build import version_of
from local.database import database
from local.template import Template
from local.terminal import FunctionOutput
from tests.support.world import KEY

PROCESSES = int(os.environ.get("PROCESSES") or 15)
# A creation, a route that is among the slowest to start, and the authorizer, which runs before every route.
FUNCTIONS = ("CreateProject", "V1DeleteDataset", "Authorizer")


def main() -> None:
    sys.stdout = FunctionOutput()
    pythons = {version_of(python) or sys.exit(f"{python} does not run."): python for python in sys.argv[1:]}
    template = Template()
    rivals = [rival for version, python in pythons.items() for rival in built(template, version, python)]
    # The same function's starts side by side.
    rivals.sort(key=lambda rival: FUNCTIONS.index(rival.request))
    with database(None, KEY) as engine, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        engine.wait_until_ready()
        with recording_world(template, engine.endpoint, directory) as (world, recording):
            ask_every_route(world)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        certificate, root = certify(directory)
        trust(root)
        events = {each: written(directory / f"{each}.json", recording.events[each]) for each in FUNCTIONS}
        with instant_table(written(directory / "answers.json", recording.answers), certificate) as url:
            requests = {
                rival.name: Request(events[rival.request], rival.variables(recording.environment, url))
                for rival in rivals
            }
            found = cold_starts(rivals, requests, PROCESSES)
    print(f"{PROCESSES} processes of each; load {os.getloadavg()[0]:.1f}", file=sys.__stdout__)
    for function in FUNCTIONS:
        first, second = (found[f"{function} on {version}"] for version in pythons)
        for figure in ("init", "init_cpu", "first_cpu", "memory"):
            one, other = first[figure], second[figure]
            print(
                f"{function:16} {figure:10} {median(one):8.1f} {median(other):8.1f}  {ratio(other, one):.3f}",
                file=sys.__stdout__,
            )


def built(template: Template, version: str, python: str) -> list[Rival]:
    folder = BENCH / f"python{version}"
    make_runtime(python, folder / "lambda")
    build_ours(python, folder / "ours")
    interpreter = folder / "lambda" / "bin" / "python"
    return [
        Rival(f"{function} on {version}", each.label, each.path, each.handler, function, interpreter)
        for function in FUNCTIONS
        for each in [ours(template, function, folder / "ours")]
    ]


if __name__ == "__main__":
    main()
