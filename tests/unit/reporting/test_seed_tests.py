"""Intervals and tests over seeds: known answers, an independent implementation, and coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from robustvit.reporting import seed_tests
from robustvit.reporting.seed_tests import Spread

# Worked out by hand: means 3 and 6, variances 2.5 and 10.
FIRST, SECOND = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]


def test_welch_of_a_worked_example():
    found = seed_tests.welch(FIRST, SECOND)
    assert found.difference == pytest.approx(-3.0)
    assert found.error == pytest.approx(math.sqrt(2.5 / 5 + 10 / 5))
    assert found.degrees == pytest.approx(2.5**2 / (0.5**2 / 4 + 2.0**2 / 4))
    low, high = seed_tests.interval(found, 0.05)
    assert (low, high) == pytest.approx((-6.8877, 0.8877), abs=2e-4)  # t(5.882; 0.975) = 2.4588


def test_t_quantiles_of_the_printed_table():
    printed = {1: 12.706, 2: 4.303, 4: 2.776, 8: 2.306, 30: 2.042}
    assert {df: round(seed_tests.critical(df, 0.05), 3) for df in printed} == printed


@pytest.mark.parametrize("seed", range(5))
def test_both_tests_agree_with_scipy(seed):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(0.4, 0.02, 4), generator.normal(0.38, 0.05, 4)
    found = seed_tests.welch(first.tolist(), second.tolist())
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert seed_tests.p_value(found, 0.0) == pytest.approx(expected.pvalue)
    assert seed_tests.interval(found, 0.1) == pytest.approx(
        tuple(expected.confidence_interval(0.9))
    )
    found = seed_tests.paired(first.tolist(), second.tolist())
    expected = stats.ttest_rel(first, second)
    assert seed_tests.p_value(found, 0.0) == pytest.approx(expected.pvalue)
    assert seed_tests.interval(found, 0.05) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )


def test_groups_of_other_sizes_and_of_no_spread():
    found = seed_tests.welch([0.1, 0.1, 0.1], [0.3, 0.4])
    assert found.degrees == pytest.approx(1.0)  # only the second group's spread counts
    still = seed_tests.welch([0.1, 0.1], [0.2, 0.2])
    assert still == Spread(pytest.approx(-0.1), 0.0, 2)
    assert seed_tests.p_value(still, 0.0) is None


@pytest.mark.parametrize("test", [seed_tests.welch, seed_tests.paired])
def test_one_seed_says_nothing_of_the_spread(test):
    with pytest.raises(ValueError, match="two values"):
        test([0.1], [0.2, 0.3])


def test_pairs_need_partners():
    with pytest.raises(ValueError, match="one size"):
        seed_tests.paired([0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("sizes", "spreads"), [((3, 3), (1, 1)), ((5, 5), (1, 4)), ((3, 5), (2, 1))]
)
def test_the_interval_holds_the_difference_as_often_as_it_says(sizes, spreads):
    """Nominal 90 % over 3,000 repetitions, whose own error is 0.55 points; Welch errs a little
    on the safe side with so few."""
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(3000):
        groups = [generator.normal(0, s, n).tolist() for n, s in zip(sizes, spreads, strict=True)]
        low, high = seed_tests.interval(seed_tests.welch(*groups), 0.1)
        held += low <= 0 <= high
    assert 0.885 <= held / 3000 <= 0.945


def test_a_detectable_difference_is_detected_in_four_of_five():
    count, spread, alpha = 5, 0.01, 0.05
    effect = seed_tests.detectable(spread * math.sqrt(2 / count), 2 * count - 2, alpha)
    power = stats.nct.sf(seed_tests.critical(8, alpha), 8, effect / (spread * math.sqrt(2 / count)))
    assert power == pytest.approx(0.8, abs=1e-6)
    generator = np.random.default_rng(3)
    found = 0
    for _ in range(2000):
        groups = generator.normal([[effect], [0.0]], spread, (2, count)).tolist()
        found += seed_tests.interval(seed_tests.welch(*groups), alpha)[0] > 0
    assert 0.76 <= found / 2000 <= 0.83  # Welch loses a little to known equal spreads


def test_the_pages_say_what_is_detectable():
    """docs/miniature.md and docs/add_a_claim.md have these factors of the spread between seeds."""
    factors = [seed_tests.detectable(math.sqrt(2 / n), 2 * n - 2, 0.05) for n in (3, 4, 5)]
    assert [round(factor, 1) for factor in factors] == [3.1, 2.4, 2.0]
