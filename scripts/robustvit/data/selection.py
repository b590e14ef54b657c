"""Choosing the part of a split that is evaluated: balanced over classes, the same every time."""

from __future__ import annotations

import numpy as np

from robustvit.core.errors import UserError
from robustvit.core.seeding import derive_seed


def select_examples(labels: np.ndarray, n: int | None, key: str) -> np.ndarray:
    """Pick `n` examples, as equally many of each class as there are.

    The classes take turns; each gives its examples in an order that depends on `key` and the
    class only. A smaller `n` therefore picks a part of what a larger one picks.

    Args:
        labels: int [N].
        n: how many; None for all.
        key: what the choice depends on, for instance "cifar10/test".

    Returns:
        Sorted places, int64 [n].

    Raises:
        UserError: if the split has fewer than `n` examples.
    """
    labels = np.asarray(labels)
    if n is None:
        return np.arange(len(labels))
    if not 0 < n <= len(labels):
        raise UserError(
            f"num_examples: {n} images of {key} asked for; expected 1 to {len(labels)}, the size "
            "of the split, or null for all."
        )
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        turns[np.random.default_rng(derive_seed(key, int(label))).permutation(own)] = np.arange(
            len(own)
        )
    order = np.random.default_rng(derive_seed(key, "classes")).permutation(int(labels.max()) + 1)
    return np.sort(np.lexsort((order[labels], turns))[:n])


def selected_indices(labels: np.ndarray, spec: dict) -> np.ndarray:
    """The part of a split that a DATASET_READ spec asks for: `num_examples` at most.

    A smaller split is taken whole, so that one protocol serves data sets of any size.
    """
    wanted = spec.get("num_examples")
    if wanted is not None:
        wanted = min(wanted, len(labels))
    return select_examples(labels, wanted, f"{spec['name']}/{spec['split']}")
