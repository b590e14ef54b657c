"""Tests for paired proportions and for many comparisons at once, exact and without SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robustvit.evaluation.statistics import Z_95, binomial_p_value

TOP = (1, 5)  # predictions among which a label may be


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test (1947).

    Of the examples on which two models disagree, each is as likely to favour the one as the other
    if the models are equally good; examples on which they agree say nothing.

    Args:
        only_first: examples that only the first model gets right.
        only_second: examples that only the second model gets right.
    """
    total, more = only_first + only_second, max(only_first, only_second)
    return min(1.0, 2.0 * binomial_p_value(more, total, 0.5)) if total else 1.0


def paired_difference(only_first: int, only_second: int, total: int) -> dict:
    """Difference of two paired proportions with its 95% interval (Agresti and Min 2005).

    Their interval is Wald's after half an example has been added to each of the four cells; it
    keeps its level for small samples, where Wald's does not.

    Returns:
        {"value", "low", "high"}, first minus second, within −1 and 1.

    Raises:
        ValueError: unless there are examples.
    """
    if total <= 0:
        raise ValueError("a difference of nothing is not defined")
    first, second, count = only_first + 0.5, only_second + 0.5, total + 2.0
    middle = (first - second) / count
    variance = (first + second - (first - second) ** 2 / count) / count**2
    half = Z_95 * math.sqrt(max(variance, 0.0))
    value = (only_first - only_second) / total
    low, high = min(middle - half, value), max(middle + half, value)
    return {"value": value, "low": max(low, -1.0), "high": min(high, 1.0)}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number (Holm 1979), in the order given; None stays None.

    Comparing each adjusted value with 0.05 keeps the probability of any false alarm among all of
    them below 5 %, whatever depends on what.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def two_sided_p_value(k: int, n: int, chance: float) -> float:
    """Two-sided exact p-value of `k` out of `n` under `chance`: twice the smaller tail."""
    above = binomial_p_value(k, n, chance)
    below = binomial_p_value(n - k, n, 1.0 - chance)
    return min(1.0, 2.0 * min(above, below))
