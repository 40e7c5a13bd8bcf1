"""The costs of each route equal those in the table of the benchmarks."""

import json
from pathlib import Path

import pytest

from benchmarks.routes import RESULT, route_costs
from local.template import ROOT, Template
from tests.support.capacity import size, units


def test_every_route_has_the_costs_in_the_table_of_the_benchmarks(
    template: Template, engine: str, tmp_path: Path
) -> None:
    costs, stated = route_costs(template, engine, tmp_path), json.loads(RESULT.read_text())
    different = sorted(name for name in costs.keys() | stated.keys() if costs.get(name) != stated.get(name))
    assert not different, (
        f"The calls and units of {different} are not those of {RESULT.relative_to(ROOT)}. If they are meant to be "
        "(a new route, or one that reads or writes more): make costs. Then read what has changed in that file."
    )


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
