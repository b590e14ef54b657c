"""Synthetic CIFAR-10 images with the labels that a classifier gave them, as PNG. No options."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustvit.data.building import DatasetPlan, Example, check_options
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.png import encode_png


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; ids are "cifar_ddpm/00000012" with the place in the arrays.

    Raises:
        UserError: for options, since there are none.
    """
    check_options(options, set(), "cifar_ddpm")
    images = np.load(source["files"]["images"], mmap_mode="r")
    labels = np.load(source["files"]["labels"], mmap_mode="r")

    def examples() -> Iterator[Example]:
        for index, label in enumerate(labels):
            yield Example("train", f"cifar_ddpm/{index:08d}", int(label), encode_png(images[index]))

    return DatasetPlan(list(CIFAR10_CLASSES), ["train"], examples, len(labels), encoding="png")
