"""Tests of paired proportions, checked against SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from robustvit.analysis.significance import (
    holm,
    mcnemar_p_value,
    paired_difference,
    two_sided_p_value,
)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_binomial_test_of_the_examples_that_differ(first, second):
    total = first + second
    expected = binomtest(first, total).pvalue if total else 1.0
    assert mcnemar_p_value(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p_value(first, second) == mcnemar_p_value(second, first)


def test_the_interval_of_a_difference_keeps_its_level():
    random, covered, trials = np.random.default_rng(0), 0, 2000
    for _ in range(trials):  # shares .3 and .1 of pairs that favour one model: difference .2
        one, other, _ = random.multinomial(60, [0.3, 0.1, 0.6])
        found = paired_difference(int(one), int(other), 60)
        covered += found["low"] <= 0.2 <= found["high"]
    assert 0.935 < covered / trials < 0.985


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_the_interval_holds_its_difference(first, second, agree):
    total = first + second + agree
    if total == 0:
        with pytest.raises(ValueError, match="nothing"):
            paired_difference(first, second, total)
        return
    found = paired_difference(first, second, total)
    assert -1 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_holm_by_hand():
    adjusted = holm([0.01, 0.04, None, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni(p_values):
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw) + 1e-12


def test_two_sided_p_values_see_both_sides():
    assert two_sided_p_value(0, 5000, 0.005) < 1e-9
    assert two_sided_p_value(42, 5000, 0.005) < 0.01  # 0.84 %, as the thesis has it for top-5
    assert two_sided_p_value(25, 5000, 0.005) > 0.9
