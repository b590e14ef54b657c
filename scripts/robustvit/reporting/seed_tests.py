"""Two groups of runs that differ in their seeds: the interval of the difference of their means.

Student's t throughout, since a handful of seeds says little of the spread: Welch's test (1947) with
Satterthwaite's degrees of freedom, or the paired test over runs of the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """How well a difference of means is known.

    Attributes:
        difference: first mean minus second.
        error: its standard error.
        degrees: degrees of freedom of the error, more than 0.
    """

    difference: float
    error: float
    degrees: float


def welch(first: Sequence[float], second: Sequence[float]) -> Spread:
    """The difference of the means of independent groups, each of its own spread.

    Raises:
        ValueError: for a group of fewer than two.
    """
    _require_two(first, second)
    parts = [variance(group) / len(group) for group in (first, second)]
    error = math.sqrt(sum(parts))
    terms = [
        (part / error**2) ** 2 / (len(group) - 1) if error else 0.0
        for part, group in zip(parts, (first, second), strict=True)
    ]
    degrees = 1 / sum(terms) if error else len(first) + len(second) - 2
    return Spread(fmean(first) - fmean(second), error, degrees)


def paired(first: Sequence[float], second: Sequence[float]) -> Spread:
    """The mean difference of pairs, in the order in which both groups are given.

    Raises:
        ValueError: for groups of different size or of fewer than two.
    """
    _require_two(first, second)
    if len(first) != len(second):
        raise ValueError(f"pairs need groups of one size, got {len(first)} and {len(second)}")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    error = math.sqrt(variance(differences) / len(differences))
    return Spread(fmean(differences), error, len(differences) - 1)


def _require_two(*groups: Sequence[float]) -> None:
    for group in groups:
        if len(group) < 2:
            raise ValueError(f"the spread of a group needs two values, got {len(group)}")


def interval(spread: Spread, alpha: float) -> tuple[float, float]:
    """The t interval of the difference that holds it with probability 1 − alpha."""
    half = critical(spread.degrees, alpha) * spread.error
    return spread.difference - half, spread.difference + half


def critical(degrees: float, alpha: float) -> float:
    """The t beyond which, on either side, alpha of all samples lie."""
    from scipy.special import stdtrit  # not at the top: planning reads what imports this

    return float(stdtrit(degrees, 1 - alpha / 2))


def p_value(spread: Spread, expected: float) -> float | None:
    """Two-sided p-value of the difference being `expected`; None if no spread was measured."""
    from scipy.special import stdtr

    if not spread.error:
        return None
    return float(2 * stdtr(spread.degrees, -abs(spread.difference - expected) / spread.error))


def detectable(error: float, degrees: float, alpha: float, power: float = POWER) -> float:
    """The true difference that the interval would find, to its own side of 0, with `power`.

    For a plan, `error` is what is expected: σ·√(2/n) for two groups of n with spread σ.
    """
    from scipy.special import nctdtrinc

    return float(nctdtrinc(degrees, 1 - power, critical(degrees, alpha))) * error
