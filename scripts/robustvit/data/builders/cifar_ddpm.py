"""Synthetic CIFAR-10 images with the labels that a classifier gave them, as PNG.

Options:
    expected_counts: images of the split `train`, or "official": the 15,402,688 of the thesis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from robustvit.core.errors import UserError
from robustvit.data.building import (
    DatasetPlan,
    Example,
    check_expected_counts,
    check_options,
)
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.image_arrays import ImageArray, load_labels
from robustvit.data.png import encode_png

SPLITS = ("train",)
OFFICIAL_COUNTS = {"train": {"total": 15_402_688}}


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; ids are "cifar_ddpm/00000012" with the place in the arrays.

    Raises:
        UserError: for unknown options, arrays that do not belong together or are no images of
            CIFAR-10's kind, or if there are not as many as expected.
    """
    check_options(options, {"expected_counts"}, "cifar_ddpm")
    images = ImageArray(source["files"]["images"], (32, 32, 3))
    labels = load_labels(source["files"]["labels"])
    _check_pairs(source["files"], len(images), labels)
    counts = Counter({("train", k): int(n) for k, n in enumerate(np.bincount(labels))})
    check_expected_counts(options, OFFICIAL_COUNTS, SPLITS, CIFAR10_CLASSES, counts)

    def examples() -> Iterator[Example]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield Example("train", f"cifar_ddpm/{index:08d}", int(label), encode_png(image))

    return DatasetPlan(list(CIFAR10_CLASSES), list(SPLITS), examples, len(labels), encoding="png")


def _check_pairs(files: dict, images: int, labels: np.ndarray) -> None:
    if images != len(labels):
        raise UserError(
            f"{files['labels']}: has {len(labels)} labels for the {images} images of "
            f"{files['images']}; expected one each"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(CIFAR10_CLASSES):
        raise UserError(
            f"{files['labels']}: has labels from {labels.min()} to {labels.max()}; expected 0 to 9"
        )
