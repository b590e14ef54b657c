"""What the builders of CIFAR-10 and CIFAR-100 share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robustvit.data.building import ArchivePlan, Entry
from robustvit.data.readers import ArrayReader, Place

TRAIN_IMAGES = 50_000


def plan_cifar(
    name: str, files: dict[str, Path], classes: list[str], official: dict
) -> ArchivePlan:
    """Plan a set of which the first 50,000 images are to train on and the rest to test.

    Args:
        name: of the set; ids begin with it.
        files: `images` (.npy, uint8 [N, H, W, 3]) and `labels` (.npy [N]).
        classes: names in label order.
        official: see `ArchivePlan`.
    """
    shape = np.load(files["images"], mmap_mode="r").shape[1:]
    reader = ArrayReader(files["images"], tuple(shape))

    def entries() -> Iterator[Entry]:
        size = reader.png_bytes
        for row, label in enumerate(np.load(files["labels"]).tolist()):
            train = row < TRAIN_IMAGES
            split, number = ("train", row) if train else ("test", row - TRAIN_IMAGES)
            yield Entry(split, f"{name}/{split}/{number:05d}", label, Place(0, row, size))

    return ArchivePlan(classes, ["train", "test"], entries, reader, "png", official)
