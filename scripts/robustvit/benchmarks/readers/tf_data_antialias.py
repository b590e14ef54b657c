"""The tf.data pipeline with antialiasing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from robustvit.benchmarks.readers import tf_data


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images of each batch."""
    return tf_data.batches(folder, transform, batch_size, antialias=True)
