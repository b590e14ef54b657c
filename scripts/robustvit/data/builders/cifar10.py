"""CIFAR-10's 50,000 training and 10,000 test images, stored losslessly as PNG.

Options:
    expected_counts: images by split, or "official".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from robustvit.data.building import (
    DatasetPlan,
    Example,
    check_expected_counts,
    check_options,
)
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.png import encode_png

SPLITS = ("train", "test")
TRAIN_IMAGES = 50_000
OFFICIAL_COUNTS = {
    "train": {"total": 50_000, "per_class": 5000},
    "test": {"total": 10_000, "per_class": 1000},
}


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; ids are "cifar10/test/00012" with the place in the official batches.

    Raises:
        UserError: for unknown options, or if there are not as many images as expected.
    """
    check_options(options, {"expected_counts"}, "cifar10")
    images = np.load(source["files"]["images"], mmap_mode="r")
    labels = np.load(source["files"]["labels"])
    counts = Counter((SPLITS[i >= TRAIN_IMAGES], int(label)) for i, label in enumerate(labels))
    check_expected_counts(options, OFFICIAL_COUNTS, SPLITS, CIFAR10_CLASSES, counts)

    def examples() -> Iterator[Example]:
        for index, label in enumerate(labels):
            train = index < TRAIN_IMAGES
            split, place = ("train", index) if train else ("test", index - TRAIN_IMAGES)
            name = f"cifar10/{split}/{place:05d}"
            yield Example(split, name, int(label), encode_png(images[index]))

    return DatasetPlan(list(CIFAR10_CLASSES), list(SPLITS), examples, len(labels), encoding="png")
