"""Intervals and p-values against SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from robustvit.evaluation.statistics import binomial_p_value, proportion, wilson


@st.composite
def counts(draw) -> tuple[int, int]:
    n = draw(st.integers(1, 5000))
    return draw(st.integers(0, n)), n


@given(counts())
def test_wilson_is_scipys(pair: tuple[int, int]) -> None:
    k, n = pair
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)
    found = proportion(k, n)
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    assert (found["k"], found["n"]) == pair


@given(counts(), st.sampled_from([0.001, 0.1, 0.25, 0.5, 0.999]))
def test_p_value_is_scipys(pair: tuple[int, int], chance: float) -> None:
    k, n = pair
    expected = binom.sf(k - 1, n, chance)
    assert binomial_p_value(k, n, chance) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_edges() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert binomial_p_value(0, 10, 0.5) == 1.0
    assert binomial_p_value(10, 10, 1.0) == 1.0
    assert binomial_p_value(1, 10, 0.0) == 0.0
    with pytest.raises(ValueError, match="k <= n"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="nothing"):
        proportion(0, 0)
