"""Concurrent writers of one item with DynamoDB's conflicts, which DynamoDB Local does not have; in simulated time."""

import pytest

from benchmarks.conflicts import CASES, ROUNDS, exponential, figures


@pytest.mark.parametrize("case", CASES)
def test_16_writers_on_one_item_are_all_answered(case: str) -> None:
    found = figures(CASES[case], 16, seeds=(1,))
    assert (len(found.taken), found.busy) == (16 * ROUNDS, 0)


def test_p99_of_conflicts_is_below_half_of_exponential_pauses() -> None:
    """Compared with pauses that grow exponentially."""
    case = CASES["records of one project"]
    assert figures(case, 16, seeds=(1,)).p99 < 0.5 * figures(case, 16, exponential, seeds=(1,)).p99
