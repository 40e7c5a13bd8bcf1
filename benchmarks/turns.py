"""Figures that were taken in turns: A, B, A, B …

A machine that is slower, or gets slower while it measures, is so in both turns of a pair: their ratio stays. Medians of
a whole run would each be of another minute.
"""

from collections.abc import Sequence
from statistics import median

Samples = Sequence[float]


def ratio(one: Samples, other: Samples) -> float:
    """How many times `other` it is, as a rule: the median of the pairs' ratios."""
    return median(a / b for a, b in zip(one, other, strict=True))


def beyond(one: Samples, other: Samples, shared: int) -> list[float]:
    """Each turn's figure less that of its pair's other, for each of the `shared` things that it did more."""
    return [round((a - b) / shared, 3) for a, b in zip(one, other, strict=True)]
