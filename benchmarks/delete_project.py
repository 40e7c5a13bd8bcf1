"""Compares the time of deleting a project with 10,000 records to that of deleting an empty one, in the same run.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.delete_project

Deletes 15 projects of each kind, in turns. Prints the medians of the times and the median of the ratios.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.turns import ratio
from local.database import database
from local.template import Template
from tests.support.rows import fill
from tests.support.world import KEY, crowd_on

ROUNDS = 15
RECORDS = 10_000


def main() -> None:
    seconds: dict[int, list[float]] = {0: [], RECORDS: []}
    with database(None, KEY) as engine, tempfile.TemporaryDirectory() as directory:
        engine.wait_until_ready()
        with crowd_on(engine, Template(), Path(directory)) as crowd:
            for _ in range(ROUNDS):
                for count, taken in seconds.items():
                    project = crowd.world.new_project()
                    if count:
                        fill(crowd, project, count)
                    began = time.perf_counter()
                    assert crowd.world("DELETE", project).status == 204
                    taken.append(time.perf_counter() - began)
    empty, full = seconds.values()
    times = f"empty {median(empty) * 1000:.1f} ms, {RECORDS:,} records {median(full) * 1000:.1f} ms"
    print(f"{times}, ratio {ratio(full, empty):.2f}")


if __name__ == "__main__":
    main()
