"""Measures how fast Fsck checks the table, with ordinary projects on DynamoDB Local.

    PYTHONPATH=functions:layers/atrium .venv/bin/python -m benchmarks.check_table

Prints the rows per second of processor time and of elapsed time, and how many runs of the function two million rows
would take at either rate.
"""

import os
import tempfile
import time
from math import ceil
from pathlib import Path

from local.database import database
from local.functions import call
from local.template import Template
from tests.support.rows import fill
from tests.support.world import KEY, crowd_on

ROWS, OF_A_PROJECT, MANY = 20_000, 1_000, 2_000_000


def main() -> None:
    template = Template()
    function = template.functions["Fsck"]
    with database(None, KEY) as engine, tempfile.TemporaryDirectory() as directory:
        engine.wait_until_ready()
        with crowd_on(engine, template, Path(directory)) as crowd:
            os.environ.update(crowd.environment)
            for _ in range(ROWS // OF_A_PROJECT):
                fill(crowd, crowd.world.new_project(), OF_A_PROJECT)
            began, own = time.perf_counter(), time.process_time()
            summary = call(function, {})
            taken, own = time.perf_counter() - began, time.process_time() - own
    assert summary["clean"], summary
    rows = sum(summary["rows"].values())
    for name, seconds in (("own time", own), ("the clock", taken)):
        runs = ceil(MANY * seconds / rows / (function.timeout - 30))
        print(f"{rows:,} rows, {rows / seconds:,.0f} a second by {name}: {MANY:,} rows are {runs} runs")


if __name__ == "__main__":
    main()
