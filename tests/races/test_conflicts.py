"""Writers who meet on one item, as DynamoDB answers them and DynamoDB Local does not: in simulated time."""

import pytest

from benchmarks.conflicts import CASES, ROUNDS, exponential, figures


@pytest.mark.parametrize("case", CASES)
def test_16_writers_on_one_item_are_all_answered(case: str) -> None:
    found = figures(CASES[case], 16, seeds=(1,))
    assert (len(found.taken), found.busy) == (16 * ROUNDS, 0)


def test_who_has_waited_for_long_is_not_overtaken_by_all_who_come() -> None:
    """As one is that waits longer and longer."""
    case = CASES["records of one project"]
    assert figures(case, 16, seeds=(1,)).p99 < 0.5 * figures(case, 16, exponential, seeds=(1,)).p99
