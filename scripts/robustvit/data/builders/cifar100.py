"""CIFAR-100's 50,000 training and 10,000 test images, stored losslessly as PNG. No options."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustvit.core.files import read_json
from robustvit.data.building import DatasetPlan, Example, check_options
from robustvit.data.png import encode_png

TRAIN_IMAGES = 50_000


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; ids are "cifar100/test/00012" with the place in the official file.

    Raises:
        UserError: for options, since there are none.
    """
    check_options(options, set(), "cifar100")
    images = np.load(source["files"]["images"], mmap_mode="r")
    labels = np.load(source["files"]["labels"])

    def examples() -> Iterator[Example]:
        for index, label in enumerate(labels):
            train = index < TRAIN_IMAGES
            split, place = ("train", index) if train else ("test", index - TRAIN_IMAGES)
            name = f"cifar100/{split}/{place:05d}"
            yield Example(split, name, int(label), encode_png(images[index]))

    classes = read_json(source["files"]["classes"])
    return DatasetPlan(classes, ["train", "test"], examples, len(labels), encoding="png")
