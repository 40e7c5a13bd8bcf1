"""The benchmark's verdict depends on the code alone: a slower or busy machine does not change it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.report import RESULTS, Results, verdict

# Duration of each turn relative to the last run, in the order of the turns.
MACHINES = {
    "2.3 times slower": [2.3],
    "twice as fast": [0.5],
    "busy in every third turn": [1.0, 1.0, 3.0],
    "slower and slower": [1 + turn / 10 for turn in range(25)],
}


@pytest.fixture(scope="module")
def last_run() -> Results:
    found: Results = json.loads((RESULTS / "results.json").read_text())
    return found


def on(factors: Sequence[float], results: Any) -> Any:
    """The same run on another machine. Figures measured in turns are lists; only these are slowed."""

    def slowed(samples: Sequence[float]) -> list[float]:
        return [sample * factors[turn % len(factors)] for turn, sample in enumerate(samples)]

    cold = {
        name: {
            figure: samples if figure in ("memory", "modules") else slowed(samples) for figure, samples in each.items()
        }
        for name, each in results["cold"].items()
    }
    growth = {
        of: {
            route: {
                part: {turn: slowed(samples) for turn, samples in figures.items()}
                if part in ("cpu", "entry")
                else figures
                for part, figures in found.items()
            }
            for route, found in routes.items()
        }
        for of, routes in results["growth"].items()
    }
    warm = {name: slowed(samples) for name, samples in results["warm"].items()}
    return {**results, "cold": cold, "warm": warm, "growth": growth}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_verdict_is_the_same_on_a_machine_at_another_speed(machine: str, last_run: Results) -> None:
    elsewhere = on(MACHINES[machine], last_run)
    assert elsewhere["warm"] != last_run["warm"]
    assert [line.cells() for line in verdict(elsewhere)] == [line.cells() for line in verdict(last_run)]


def test_no_target_is_a_time(last_run: Results) -> None:
    assert {line.unit for line in verdict(last_run)} == {"x", "MB"}


def test_code_50_percent_slower_misses_its_targets(last_run: Results) -> None:
    """Only Atrium is slower, on the same machine: the verdict can fail."""
    ours = on([1.5], last_run)
    names = {rival["name"] for rival in last_run["rivals"] if rival["ours"]}
    cold = {name: (ours if name in names else last_run)["cold"][name] for name in last_run["cold"]}
    warm = {name: (ours if name in names else last_run)["warm"][name] for name in last_run["warm"]}
    missed = [line.target for line in verdict({**last_run, "cold": cold, "warm": warm}) if not line.met]
    assert len(missed) >= 5, missed
