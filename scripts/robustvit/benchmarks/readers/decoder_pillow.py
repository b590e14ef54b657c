"""Pillow's decoder alone, on bytes in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images decoded at a time."""
    images = [path.read_bytes() for path in sorted((folder / "classes").rglob("*.jpg"))]
    place = 0
    while True:
        for _ in range(batch_size):
            Image.open(io.BytesIO(images[place % len(images)])).load()
            place += 1
        yield batch_size
