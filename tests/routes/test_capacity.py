"""The costs of each route equal those in the table of the benchmarks."""

import json
from pathlib import Path

import pytest

from atrium.store.engine import table as tables
from benchmarks.routes import RESULT, route_costs
from local.template import ROOT, Template
from tests.support.capacity import WRITTEN, Meter, size, units
from tests.support.client import RECORDS, in_camel_case
from tests.support.requests import FLAT
from tests.support.world import inline

# The most units that a new project with a description of so many characters writes, and a new task in it; and how many
# of the latter are of the project's own partition, which takes a thousand a second: so 250, 250 and 15 tasks.
MOST_WRITTEN = {0: (12, 8, 4), 500: (14, 8, 4), 32_000: (76, 70, 66)}


def test_every_route_has_the_costs_in_the_table_of_the_benchmarks(
    template: Template, engine: str, tmp_path: Path
) -> None:
    costs, stated = route_costs(template, engine, tmp_path), json.loads(RESULT.read_text())
    different = sorted(name for name in costs.keys() | stated.keys() if costs.get(name) != stated.get(name))
    assert not different, (
        f"The calls and units of {different} are not those of {RESULT.relative_to(ROOT)}. If they are meant to be "
        "(a new route, or one that reads or writes more): make costs. Then read what has changed in that file."
    )


def test_new_project_and_task_without_a_key_write_a_description_no_more_often_than_must_be(
    template: Template, engine: str, tmp_path: Path
) -> None:
    meter, task = Meter(), RECORDS["tasks"]
    with inline(template, engine, tmp_path, meter.invoke) as world:
        meter.watch(tables.table()._client)

        def write(route: str, path: str, body: object) -> tuple[str, int]:
            """The path of what is made, and the units."""
            meter.clear()
            made = world("POST", path, body)
            assert made.status == 201, made
            return f"{path}/{made.body.get('id') or made.body['_id']}", meter.of(route)[2]

        for characters, (in_project, in_task, in_partition) in MOST_WRITTEN.items():
            text = "x" * characters
            cases = [("V1", world.projects(), {"name": "Apollo", "description": text}, task)]
            if 0 < characters <= 10_000:  # the bounds of the flat dialect
                cases += [("", "/projects", FLAT | {"description": text}, in_camel_case(task))]
            for dialect, path, project, record in cases:
                made, written = write(f"{dialect}CreateProject", path, project)
                assert 0 < written <= in_project, (dialect, characters)
                # The first one is noted in the list of projects, too.
                for more in (2, 0):
                    _, written = write(f"{dialect}CreateTask", f"{made}/tasks", record)
                    assert 0 < written <= in_task + more, (dialect, characters)
                sizes = [sizes for call in meter.calls for key, sizes in call.sizes.items() if "#P#" in key.pk]
                assert 0 < sum(2 * units(max(each), WRITTEN) for each in sizes) <= in_partition, (dialect, characters)


@pytest.mark.parametrize(
    ("item", "bytes"),
    [
        ({"pk": {"S": "a"}}, 3),
        ({"pk": {"S": "é"}, "n": {"N": "1"}}, 7),
        ({"n": {"N": "-12345"}}, 6),
        ({"n": {"N": "1000"}, "ok": {"BOOL": True}, "no": {"NULL": True}}, 9),
        ({"l": {"L": [{"S": "ab"}, {"N": "7"}]}}, 10),
        ({"m": {"M": {"a": {"S": "bc"}}}}, 8),
    ],
)
def test_an_items_size_is_counted_as_documented(item: dict[str, dict[str, object]], bytes: int) -> None:
    assert size(item) == bytes


def test_units_are_rounded_up() -> None:
    assert [units(bytes, 1024) for bytes in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
