"""The cost of a request does not depend on the amount of data: calls to the table and capacity units stay the same."""

from pathlib import Path

import pytest

from atrium.store.engine import table as tables
from local.template import Template
from tests.support.capacity import Meter
from tests.support.growth import MORE, a_place, costs
from tests.support.world import full, inline

# Entries of a page, and of two larger places.
PAGE = 25
SOME, MANY = 30, full(90, 900)


@pytest.mark.parametrize("of", MORE)
def test_a_page_a_read_and_a_creation_cost_the_same_at_any_size(
    template: Template, engine: str, tmp_path: Path, of: str
) -> None:
    meter = Meter()
    with inline(template, engine, tmp_path, meter.invoke) as world:
        meter.watch(tables.table()._client)
        place = a_place(of, world, meter.look, tables.table().name)
        if of == "tasks":
            MORE[of](place, 1)
        among_few = costs(place, meter, of, limit=1)
        for function, (calls, read, written) in among_few.items():
            assert (calls > 0, read > 0, written > 0) == (True, True, "Create" in function or "Add" in function)
        MORE[of](place, SOME)
        page = costs(place, meter, of, limit=PAGE)
        MORE[of](place, MANY)
        assert costs(place, meter, of, limit=1) == among_few
        assert costs(place, meter, of, limit=PAGE) == page
