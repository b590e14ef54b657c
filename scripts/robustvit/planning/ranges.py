"""Numbers with an honest range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robustvit.core.errors import UserError


@dataclass(frozen=True)
class Range:
    """A number that is expected, and the bounds that it is thought to lie within."""

    low: float
    expected: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else exactly(other)
        return Range(self.low * by.low, self.expected * by.expected, self.high * by.high)

    __rmul__ = __mul__

    def at_least(self, other: Range) -> Range:
        """The larger of the two at each place: what takes place side by side."""
        return Range(
            max(self.low, other.low),
            max(self.expected, other.expected),
            max(self.high, other.high),
        )


ZERO = Range(0.0, 0.0, 0.0)


def exactly(value: float) -> Range:
    """A number that is known."""
    return Range(value, value, value)


def between(*values: float) -> Range:
    """From the least to the greatest of positive numbers, expected at the geometric middle."""
    low, high = min(values), max(values)
    return Range(low, math.sqrt(low * high), high)


def total(ranges: Iterable[Range]) -> Range:
    """The sum; the bounds add up, as errors of one cause do."""
    return sum(ranges, ZERO)


def read_range(value: object, where: str) -> Range:
    """Read a number, or {low, expected, high} of a data file; `expected` may be left out.

    Raises:
        UserError: naming `where`, if it is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return exactly(float(value))
    if isinstance(value, Mapping) and {"low", "high"} <= set(value):
        low, high = float(value["low"]), float(value["high"])
        found = Range(low, float(value.get("expected", math.sqrt(low * high))), high)
        if found.low <= found.expected <= found.high:
            return found
    raise UserError(
        f"{where}: {value!r} is no number and no range. Example: 4.1, or "
        "{low: 1.5, expected: 4.1, high: 5}"
    )
