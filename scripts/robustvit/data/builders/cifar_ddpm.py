"""Synthetic CIFAR-10 images with the labels that a classifier gave them, as PNG.

Options:
    expected_counts: images of the split `train`, or "official": the 15,402,688 of the thesis.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustvit.core.errors import UserError
from robustvit.data.building import ArchivePlan, Entry, check_options
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.image_arrays import ImageArray, load_labels
from robustvit.data.readers import ArrayReader, Place

SHAPE = (32, 32, 3)
OFFICIAL_COUNTS = {"train": {"total": 15_402_688}}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; ids are "cifar_ddpm/00000012" with the place in the arrays.

    Raises:
        UserError: for unknown options, or arrays that do not belong together or are no images of
            CIFAR-10's kind.
    """
    check_options(options, set(), "cifar_ddpm")
    images = ImageArray(source["files"]["images"], SHAPE)
    labels = load_labels(source["files"]["labels"])
    _check_pairs(source["files"], len(images), labels)
    reader = ArrayReader(source["files"]["images"], SHAPE)

    def entries() -> Iterator[Entry]:
        size = reader.png_bytes
        for row, label in enumerate(labels):
            yield Entry("train", f"cifar_ddpm/{row:08d}", int(label), Place(0, row, size))

    classes = list(CIFAR10_CLASSES)
    return ArchivePlan(classes, ["train"], entries, reader, "png", OFFICIAL_COUNTS)


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
