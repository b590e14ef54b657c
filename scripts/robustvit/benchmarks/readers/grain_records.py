"""grain's loader over the same files, decoded by simplejpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grain
import numpy as np

from robustvit.benchmarks.readers.pillow_steps import apply


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images of each batch."""
    paths = sorted((folder / "classes").rglob("*.jpg"))
    images = grain.MapDataset.source(paths)
    if transform == "train":
        images = images.shuffle(seed=0)
    images = images.map(lambda path: apply(path.read_bytes(), transform)).repeat()
    # Threads that read ahead would work between the measurements.
    at_once = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    for batch in images.to_iter_dataset(at_once).batch(batch_size, batch_fn=np.stack):
        yield len(batch)
