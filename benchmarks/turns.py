"""Figures measured in turns: A, B, A, B …

A slow machine, or one that becomes slow during the run, slows both turns of a pair, so their ratio stays the same.
Medians of a whole run would compare different minutes.
"""

from collections.abc import Sequence
from statistics import median

Samples = Sequence[float]


def ratio(one: Samples, other: Samples) -> float:
    """The median of the pairs' ratios, `one` to `other`."""
    return median(a / b for a, b in zip(one, other, strict=True))


def beyond(one: Samples, other: Samples, shared: int) -> list[float]:
    """For each pair, the difference of its figures, divided by `shared`, the number of things that `one` did more."""
    return [round((a - b) / shared, 3) for a, b in zip(one, other, strict=True)]
