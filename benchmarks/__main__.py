"""Runs all benchmarks in under ten minutes, and writes the figures into benchmarks/results and README.

make bench
"""

import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.cold import Request, cold_starts, slowest
from benchmarks.growth import growth
from benchmarks.plot import plot
from benchmarks.recorded import ask_every_route, certify, instant_table, recording_world
from benchmarks.report import RESULTS, summary, verdict, write
from benchmarks.rivals import BENCH, OURS, Field, Rival, trust, written
from benchmarks.routes import RESULT as ROUTES
from benchmarks.routes import route_costs
from benchmarks.warm import Kept, warm_requests
from local.database import database
from local.template import Template
from local.terminal import FunctionOutput, say
from tests.support.growth import MORE
from tests.support.world import KEY

# The number of fresh processes of each candidate; then the rounds of warm requests, and the requests of a round.
PROCESSES = int(os.environ.get("PROCESSES") or 15)
ROUNDS, COUNT = 25, 60


def main() -> None:
    # Functions run in this process too; FunctionOutput keeps their access logs out of the terminal.
    sys.stdout = FunctionOutput()
    began = time.monotonic()
    say("Building what is compared …")
    template = Template()
    field = Field(template)
    with database(None, KEY) as engine, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for part in ("recorded", "routes", *MORE):
            (directory / part).mkdir()
        engine.wait_until_ready()
        results: dict[str, Any] = {"about": about(field)}
        results |= timed(field, template, engine.endpoint, directory)
        say("Growth …")
        results["growth"] = growth(field, template, engine.endpoint, directory)
        say("Calls and capacity of each route …")
        costs = route_costs(template, engine.endpoint, directory / "routes")
    written(ROUTES, costs, indent=1)
    results["layer"] = layer(BENCH / "ours" / "AtriumLayer")
    written(RESULTS / "results.json", results, indent=1)
    plot(results, RESULTS / "speed.png")
    write(results, costs)
    say(f"Done in {time.monotonic() - began:.0f} s.")
    print(f"\n{summary(results)}", file=sys.__stdout__)
    sys.exit(not all(line.met for line in verdict(results)))


def timed(field: Field, template: Template, engine: str, directory: Path) -> dict[str, Any]:
    """The measurements that take time: cold starts, and warm requests."""
    with recording_world(template, engine, directory / "recorded") as (world, recording):
        ask_every_route(world)
    answers = written(directory / "answers.json", recording.answers)
    events = {name: written(directory / f"{name}.json", event) for name, event in recording.events.items()}
    certificate, root = certify(directory)
    trust(root)
    ours = [field.ours(name) for name in OURS]

    def requests(rivals: list[Rival], url: str) -> dict[str, Request]:
        return {each.name: Request(events[each.request], each.variables(recording.environment, url)) for each in rivals}

    with instant_table(answers, certificate) as url:
        say("Which route is the slowest to start …")
        every = [field.ours(name) for name in events if name != "Authorizer"]
        slow = slowest(every, requests(every, url))
        ours += [slow] if slow.name not in OURS else []
        rivals = [*field.peers, *ours, field.without_bytecode]
        say(f"Cold starts, {PROCESSES} of each …")
        cold = cold_starts(rivals, requests(rivals, url), PROCESSES)
    say("Warm requests …")
    creating = [rival for rival in field.peers if rival.name in ("boto3_client", "flask", "fastapi")]
    asked = requests([*creating, *ours], "http://localhost:1")
    kept = {
        each.name: Kept(each, asked[each.name].variables, [(asked[each.name].event, answers)])
        for each in [*creating, *ours]
    }
    warm = {name: turns["handler", 0] for name, turns in warm_requests(kept, ROUNDS, COUNT).items()}
    names = [{"name": each.name, "label": each.label, "ours": each in ours} for each in rivals]
    return {"rivals": names, "slowest": slow.name, "cold": cold, "warm": warm}


def about(field: Field) -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    model = cpu.read_text().partition("model name\t: ")[2].partition("\n")[0] if cpu.exists() else ""
    return {
        "python": field.version,
        "processes": PROCESSES,
        "processor": f"{os.cpu_count()} x {model or 'processor'}",
        "load": round(os.getloadavg()[0], 1),
    }


def layer(folder: Path) -> dict[str, float]:
    """The size of a layer in megabytes, as Lambda counts it against its limits."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        zipped = file.tell()
    return {"unzipped": sum(path.stat().st_size for path in files) / 2**20, "zipped": zipped / 2**20}


if __name__ == "__main__":
    main()
