"""This project's loader with `resizer: pillow`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from robustvit.benchmarks.readers import project


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images of each batch."""
    return project.batches(folder, transform, batch_size, resizer="pillow")
