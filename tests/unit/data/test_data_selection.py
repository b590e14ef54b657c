"""The evaluated part of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustvit.core.errors import UserError
from robustvit.data.selection import select_examples, selected_indices

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(LABELS, st.data())
def test_balanced_sorted_distinct(labels, data):
    labels = np.array(labels)
    n = data.draw(st.integers(1, len(labels)))
    chosen = select_examples(labels, n, "key")
    assert len(chosen) == n
    assert (np.diff(chosen) > 0).all()
    counts = np.bincount(labels[chosen], minlength=6)
    available = np.bincount(labels, minlength=6)
    # A class may lag behind another by more than one only if it has no more examples.
    assert all(counts[c] == available[c] for c in range(6) if counts[c] < counts.max() - 1)


@given(LABELS, st.data())
def test_a_smaller_choice_is_part_of_a_larger_one(labels, data):
    n = data.draw(st.integers(1, len(labels)))
    smaller, larger = (select_examples(np.array(labels), k, "key") for k in (max(n - 1, 1), n))
    assert set(smaller) <= set(larger)


def test_depends_on_the_key_only():
    labels = np.arange(1000) % 10
    one = select_examples(labels, 50, "cifar10/test")
    np.testing.assert_array_equal(one, select_examples(labels, 50, "cifar10/test"))
    assert set(one) != set(select_examples(labels, 50, "cifar10/train"))
    # Pinned: another version or platform must choose the same images.
    assert select_examples(labels, 5, "cifar10/test").tolist() == [420, 585, 701, 844, 948]


def test_spec(read_spec):
    labels = np.arange(20) % 4
    spec = read_spec("test", num_examples=8)
    np.testing.assert_array_equal(
        selected_indices(labels, spec), select_examples(labels, 8, "tiny/test")
    )
    assert len(selected_indices(labels, read_spec("test"))) == 20


@pytest.mark.parametrize("n", [0, 21, -1])
def test_impossible_counts_are_explained(n):
    with pytest.raises(UserError, match="expected 1 to 20"):
        select_examples(np.zeros(20, int), n, "key")
