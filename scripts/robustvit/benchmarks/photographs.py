"""Photographs as ImageNet has them: JPEGs of 500 × 375 or 375 × 500 pixels and about 110 kB."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from robustvit.core.errors import UserError

LONG, SHORT, TARGET_BYTES = 500, 375, 110_000
GRAIN = 6.0  # standard deviation of the camera noise that enlarging has smoothed away, of 255
SUFFIXES = (".jpg", ".jpeg")


def photographs(count: int, folder: Path | None, mirror: Path | None) -> Iterator[bytes]:
    """Yield `count` encoded images, as varied as there are.

    Args:
        folder: JPEGs that are taken as they are; the first in the order of their names.
        mirror: folder with imagenet/ILSVRC2012_img_val.tar, whose photographs are brought to
            ImageNet's average size. Without either, images are generated, every fourth upright.

    Raises:
        UserError: if the folder has no JPEG.
    """
    if folder is not None:
        yield from _repeated(_files(folder), count)
    elif mirror is not None:
        yield from _repeated([_as_imagenet(data, i) for i, data in _archived(mirror, count)], count)
    else:
        rng = np.random.default_rng(0)
        for number in range(count):
            height, width = (8, 6) if number % 4 == 3 else (6, 8)
            coarse = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
            yield _as_imagenet(Image.fromarray(coarse), int(rng.integers(1 << 30)))


def _repeated(images: list[bytes], count: int) -> Iterator[bytes]:
    return (images[i % len(images)] for i in range(count))


def _files(folder: Path) -> list[bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"--photographs {folder}: holds no .jpg or .JPEG file")
    return [path.read_bytes() for path in paths[:512]]


def _archived(mirror: Path, count: int) -> list[tuple[int, Image.Image]]:
    with tarfile.open(mirror / "imagenet" / "ILSVRC2012_img_val.tar") as tar:
        members = islice((member for member in tar if member.isfile()), count)
        found = [io.BytesIO(tar.extractfile(member).read()) for member in members]
    return [(i, Image.open(data).convert("RGB")) for i, data in enumerate(found)]


def _as_imagenet(image: Image.Image, seed: int) -> bytes:
    """Enlarge, add grain, and encode at the quality that gives the target's size."""
    size = (LONG, SHORT) if image.width >= image.height else (SHORT, LONG)
    large = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(seed).normal(0, GRAIN, large.shape)
    grainy = Image.fromarray((large + grain).clip(0, 255).astype(np.uint8))
    low, high = 50, 98
    while low < high:
        quality = (low + high) // 2
        if len(_encode(grainy, quality)) < TARGET_BYTES:
            low = quality + 1
        else:
            high = quality
    return _encode(grainy, low)


def _encode(image: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return target.getvalue()
