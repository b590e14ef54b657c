"""Images as an evaluation sees them: resize, centre crop, [0, 1] (spec A1.7, RobustBench)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robustvit.core.errors import unknown_name
from robustvit.data.reading import TfdsImages
from robustvit.data.resizing import resize_window

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def interpolation(name: str) -> Image.Resampling:
    """Pillow's constant for an interpolation's name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in INTERPOLATIONS:
        raise unknown_name("interpolation", name, INTERPOLATIONS, "interpolation")
    return INTERPOLATIONS[name]


def stack_images(images: Sequence[np.ndarray]) -> torch.Tensor:
    """uint8 images [H, W, 3] of one size → uint8 [B, 3, H, W], in memory still [B, H, W, 3]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def as_pixels(images: torch.Tensor) -> torch.Tensor:
    """uint8 in 0–255 → float32 in [0, 1], the same on every device; float32 passes unchanged."""
    if images.dtype != torch.uint8:
        return images
    # A GPU multiplies by the reciprocal of a plain number, which rounds otherwise.
    return images.contiguous().float().div_(torch.full((), 255.0, device=images.device))


def resize_and_crop(
    image: np.ndarray, size: int, crop_pct: float, method: Image.Resampling
) -> np.ndarray:
    """Resize the shorter side to floor(size / crop_pct) and cut out the central square.

    As torchvision's Resize and CenterCrop, which timm and RobustBench use. An image of the right
    size is returned as it is if `crop_pct` is 1.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        uint8 [size, size, 3].
    """
    shorter = math.floor(size / crop_pct)
    if image.shape[:2] == (size, size) and shorter == size:
        return image
    height, width = image.shape[:2]
    if width <= height:
        target = (shorter, int(shorter * height / width))
    else:
        target = (int(shorter * width / height), shorter)
    left, top = round((target[0] - size) / 2.0), round((target[1] - size) / 2.0)
    return resize_window(image, target, left, top, size, method)


def eval_transform(spec: dict) -> Callable[[np.ndarray], torch.Tensor]:
    """Return the evaluation's transform: uint8 [H, W, 3] → float32 [3, S, S] in [0, 1].

    Args:
        spec: DATASET_READ; uses `image_size`, `crop_pct` and `interpolation`.
    """
    size, crop_pct = spec["image_size"], spec["crop_pct"]
    method = interpolation(spec["interpolation"])

    def transform(image: np.ndarray) -> torch.Tensor:
        return as_pixels(stack_images([resize_and_crop(image, size, crop_pct, method)]))[0]

    return transform


def load_batch(
    data: TfdsImages, spec: dict, indices: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of an open data set: float32 [B, 3, S, S] in [0, 1], int64 [B]."""
    size, crop_pct = spec["image_size"], spec["crop_pct"]
    method = interpolation(spec["interpolation"])
    # One after the other: photographs take a hundred times the memory of what is cut out of them.
    images = [
        resize_and_crop(image, size, crop_pct, method)
        for index in indices
        for image in data.images([index])
    ]
    labels = torch.from_numpy(data.labels[np.asarray(indices, np.int64)])
    if not images:
        return torch.empty(0, 3, size, size), labels
    return as_pixels(stack_images(images)), labels


def load_eval_batch(
    manifest_path: str | Path, spec: dict, indices: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """`load_batch` for one batch of a data set that is not open yet.

    Args:
        manifest_path: the data set's manifest.json.
        spec: DATASET_READ.
        indices: places in the whole split.
    """
    return load_batch(TfdsImages(manifest_path, spec), spec, indices)
