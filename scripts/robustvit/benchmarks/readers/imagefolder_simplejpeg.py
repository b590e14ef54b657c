"""torchvision's ImageFolder with simplejpeg in the place of Pillow's decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import simplejpeg
from PIL import Image

from robustvit.benchmarks.readers import imagefolder


def batches(folder: Path, transform: str, batch_size: int) -> Iterator[int]:
    """Yield the number of images of each batch."""
    return imagefolder.batches(folder, transform, batch_size, loader=_load)


def _load(path: str) -> Image.Image:
    return Image.fromarray(simplejpeg.decode_jpeg(Path(path).read_bytes()))
