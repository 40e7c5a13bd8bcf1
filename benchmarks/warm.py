"""What a warm request takes: processor time, with the client's HTTP calls answered in the process."""

import json
import subprocess
from collections.abc import Hashable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TypeVar

from benchmarks.cold import Request
from benchmarks.rivals import Rival

K = TypeVar("K", bound=Hashable)


def warm_requests(asked: Mapping[K, tuple[Rival, Request, Path]], rounds: int, count: int) -> dict[K, float]:
    """Microseconds a request, of rivals that are given a request and the table's answers: the medians of the rounds, of
    `count` requests each, all of them in turns."""
    taken: dict[K, list[float]] = {name: [] for name in asked}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(running(*each)) for name, each in asked.items()}
        for process in processes.values():
            said(process)  # how it started
            ask(process, count)  # until everything is loaded, and what is read is known
        for _ in range(rounds):
            for name, process in processes.items():
                taken[name].append(ask(process, count))
        for process in processes.values():
            process.stdin.close()  # type: ignore[union-attr]
    return {name: median(each) for name, each in taken.items()}


def running(rival: Rival, request: Request, answers: Path) -> subprocess.Popen[str]:
    variables = rival.process_environment(request.variables, EVENT=str(request.event), ANSWERS=str(answers))
    return subprocess.Popen(
        rival.command("warm"),
        env=variables,
        cwd=rival.path[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], count: int) -> float:
    assert process.stdin
    print(count, file=process.stdin, flush=True)
    return said(process)["cpu"]


def said(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout
    figures: dict[str, float] = json.loads(process.stdout.readline())
    return figures
