"""webdataset over a tar, decoded by simplejpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import webdataset

from robustvit.benchmarks.readers.pillow_steps import apply


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images of each batch."""
    images = webdataset.WebDataset(str(folder / "shard.tar"), shardshuffle=False, empty_check=False)
    steps = images.map(lambda sample: apply(sample["jpg"], transform))
    if transform == "train":
        steps = steps.shuffle(100)
    batch: list[np.ndarray] = []
    while True:
        for image in steps:
            batch.append(image)
            if len(batch) == batch_size:
                yield len(np.stack(batch))
                batch = []
