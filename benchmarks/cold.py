"""Measures cold starts: the first request of a new environment.

Init, the first answer and peak memory are measured in Lambda's own runtime (local/rie.py). Processor time, from the
start of the interpreter, is measured in a process without the emulator, where it can be read between init and the first
request. Both use a table behind TLS.
"""

import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.rivals import Rival
from benchmarks.turns import Samples
from local.rie import Environment

Figures = dict[str, float]


@dataclass(frozen=True)
class Request:
    """An event, in a file, and the environment of the process that handles it."""

    event: Path
    variables: Mapping[str, str]


def cold_starts(rivals: Iterable[Rival], requests: Mapping[str, Request], rounds: int) -> dict[str, dict[str, Samples]]:
    """The figures of every rival's cold starts, one for each round; in a round the rivals take turns."""
    taken: dict[str, list[Figures]] = {rival.name: [] for rival in rivals}
    for _ in range(rounds):
        for rival in rivals:
            request = requests[rival.name]
            taken[rival.name].append(in_the_runtime(rival, request) | in_a_process(rival, request))
    return {rival: {name: [round(each[name], 3) for each in all] for name in all[0]} for rival, all in taken.items()}


def in_the_runtime(rival: Rival, request: Request) -> Figures:
    environment = Environment(rival.function(), request.variables, rival.path, rival.python)
    try:
        began = time.perf_counter()
        answer = environment.invoke(json.loads(request.event.read_text()))
        whole = time.perf_counter() - began
        assert answer.get("statusCode", 200) in (200, 201, 204), answer
        return {"init": environment.init * 1000, "whole": whole * 1000, "memory": environment.peak_memory / 1024}
    finally:
        environment.stop()


def in_a_process(rival: Rival, request: Request) -> Figures:
    variables = rival.process_environment(request.variables, CASES=json.dumps([[str(request.event), None]]))
    done = subprocess.run(rival.command("first"), env=variables, cwd=rival.path[0], stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return {"init_cpu": said["init"], "first_cpu": said["first"], "modules": said["modules"]}


def slowest(rivals: Iterable[Rival], requests: Mapping[str, Request]) -> Rival:
    """The rival whose init takes the most processor time, by the median of a few starts."""

    def init(rival: Rival) -> float:
        return median(in_a_process(rival, requests[rival.name])["init_cpu"] for _ in range(3))

    return max(rivals, key=init)
