"""Measures the processor time of warm requests, with the client's HTTP calls answered in the process."""

import json
import subprocess
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.rivals import Rival
from benchmarks.turns import Samples

K = TypeVar("K", bound=Hashable)

Turn = tuple[str, int]


@dataclass(frozen=True)
class Kept:
    """A process that stays alive. Each of its `cases` is an event with the table's answers. Its `turns` of a round are
    the `handler` on a case, or the `sdk` alone, which parses the answers of that case.
    """

    rival: Rival
    variables: Mapping[str, str]
    cases: Sequence[tuple[Path, Path]]
    turns: Sequence[Turn] = (("handler", 0),)


def warm_requests(asked: Mapping[K, Kept], rounds: int, count: int) -> dict[K, dict[Turn, Samples]]:
    """Microseconds of a request, by process and turn, with a figure of `count` requests for each round. In a round all
    processes take their turns one after the other.
    """
    taken: dict[K, dict[Turn, list[float]]] = {name: {turn: [] for turn in kept.turns} for name, kept in asked.items()}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(running(kept)) for name, kept in asked.items()}
        for name, process in processes.items():
            said(process)  # how it started
            for turn in asked[name].turns:
                ask(process, turn, count)  # loads all modules and fills all caches
        for number in range(rounds):
            for name, process in processes.items():
                # The first turn is a little slower, so the order alternates.
                order = list(taken[name]) if number % 2 else list(reversed(taken[name]))
                for turn in order:
                    taken[name][turn].append(ask(process, turn, count))
        for process in processes.values():
            process.stdin.close()  # type: ignore[union-attr]
    return {name: dict(turns) for name, turns in taken.items()}


def running(kept: Kept) -> subprocess.Popen[str]:
    cases = json.dumps([[str(path) for path in case] for case in kept.cases])
    return subprocess.Popen(
        kept.rival.command("warm"),
        env=kept.rival.process_environment(kept.variables, CASES=cases),
        cwd=kept.rival.path[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], turn: Turn, count: int) -> float:
    assert process.stdin
    print(*turn, count, file=process.stdin, flush=True)
    return round(said(process)["cpu"], 1)


def said(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout
    figures: dict[str, float] = json.loads(process.stdout.readline())
    return figures
