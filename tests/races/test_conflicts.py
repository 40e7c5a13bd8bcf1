"""Writers who meet on one item, as DynamoDB answers them and DynamoDB Local does not: in simulated time."""

import pytest

from benchmarks.conflicts import CASES, ROUNDS, exponential, figures


@pytest.mark.parametrize("case", CASES)
def test_16_writers_on_one_item_are_all_answered(case: str) -> None:
    found = figures(CASES[case], 16, seeds=(1,))
    assert (len(found.taken), found.busy) == (16 * ROUNDS, 0)


def test_p99_of_conflicts_is_below_half_of_exponential_pauses() -> None:
    """As one is that waits longer and longer."""
    case = CASES["records of one project"]
    assert figures(case, 16, seeds=(1,)).p99 < 0.5 * figures(case, 16, exponential, seeds=(1,)).p99
