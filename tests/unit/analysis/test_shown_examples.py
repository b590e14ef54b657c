"""Which examples of an analysis are kept for figures."""

import numpy as np

from robustvit.analysis.perturbations import EXAMPLES, choose_examples

LABELS = np.repeat(np.arange(100), 5)


def test_wanted_classes_are_added_to_the_random_ones():
    plain = set(choose_examples(500, 42))
    kept = set(choose_examples(500, 42, LABELS, [7, 93]))
    assert len(plain) == EXAMPLES
    assert plain <= kept
    assert {7, 93} <= set(LABELS[sorted(kept)])
    assert len(kept) <= EXAMPLES + 2


def test_a_wanted_class_without_images_adds_nothing():
    assert choose_examples(500, 42, LABELS, [100]) == choose_examples(500, 42)
