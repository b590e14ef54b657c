"""The two transforms on Pillow for readers that bring none, without torch or this project."""

from __future__ import annotations

import math
import random

import numpy as np
import simplejpeg
from PIL import Image

SIZE = (224, 224)


def apply(data: bytes, transform: str) -> np.ndarray:
    """A JPEG to uint8 [224, 224, 3]."""
    image = Image.fromarray(simplejpeg.decode_jpeg(data))
    return np.asarray(_train(image) if transform == "train" else _evaluate(image))


def _train(image: Image.Image) -> Image.Image:
    crop = image.crop(_box(*image.size)).resize(SIZE, Image.Resampling.BICUBIC)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop


def _box(width: int, height: int) -> tuple[int, int, int, int]:
    for _ in range(10):
        area = random.uniform(0.08, 1) * width * height
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def _evaluate(image: Image.Image) -> Image.Image:
    scale = 256 / min(image.size)
    resized = image.resize(
        (int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (resized.width - 224) // 2, (resized.height - 224) // 2
    return resized.crop((left, top, left + 224, top + 224))
