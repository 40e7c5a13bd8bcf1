"""The API answers as the model does: random requests in random order, with failing calls to the table.

Hypothesis draws a run as a sequence of requests: every route, callers with every role, right and wrong bodies, both
dialects, keys and If-Match, repeated requests and faults. The model (tests/model/model.py) predicts each whole answer.
After a change the test reads the other dialect and the event too. At the end of a run it reads all projects, purges
the deleted ones and checks the table.

A failing run is shortened and printed, request by request.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture.engine import ConjectureRunner
from hypothesis.stateful import RULE_MARKER, run_state_machine_as_test

from local.template import Template
from tests.model.model import OPERATIONS, UNKNOWN
from tests.model.run import Run
from tests.model.start import Start
from tests.support.client import World
from tests.support.requests import EVERY_ROUTE
from tests.support.world import Count, full


def test_every_route_has_a_rule() -> None:
    rules = {name for name, made in vars(Run).items() if hasattr(made, RULE_MARKER)}
    known = set(EVERY_ROUTE) - set(UNKNOWN)
    missing = sorted(known - set(OPERATIONS))
    assert not missing, (
        f"The model does not know the routes {missing}. In tests/model/, add a row for each to OPERATIONS at the end "
        "of the module of its resource (projects.py, members.py, records.py, notes.py, spaces.py, …), with the method "
        'that says what it answers, as in\n    "V1GetMember": Members.get_member,\nIts rule follows from the row. If '
        "the route takes a body, add its required fields to REQUIRED in tests/model/fields.py, and in v1 its optional "
        "ones to KNOWN. Add random values to BODIES or QUERIES in tests/model/strategies.py if a body has optional "
        "fields, or a query more than a limit."
    )
    assert set(OPERATIONS) == known == rules & set(EVERY_ROUTE)


@pytest.mark.timeout(1800)
def test_api_answers_as_the_model(
    shared: World, template: Template, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    # Hypothesis would make five of six runs as variations of the sixth.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None)
    Run.start = Start(shared, template)
    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=full(10, 400),
            stateful_step_count=50,
            derandomize=not full(0, 1),
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    tally = Run.start.tally
    count(runs=tally.runs, steps=tally.steps)
    for route in sorted(OPERATIONS):
        print(f"{route}: asked {tally.asked[route]} times, done {tally.done[route]} times")
    if full(0, 1):
        assert [route for route in OPERATIONS if not tally.done[route]] == []
