"""Adversarial images of a shard, kept beside its rows on request. Must not import torch.

One image per example: of the attack that broke it, else of the last attack. It is kept exactly, in
float32: rounded to 8 bits it is another image, which may lie outside the ball or be classified
otherwise. That class is kept too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

IMAGE, ROUNDED = "adversarial", "prediction_8bit"
LITTLE_ENDIAN = np.dtype("<f4")


def chosen_attacks(success: np.ndarray) -> np.ndarray:
    """Which attack's image stands for each example, int [N]; success bool [N, A] in their order."""
    last = success.shape[1] - 1
    return np.where(success.any(axis=1), success.argmax(axis=1), last)


def choose_images(table: pa.Table, images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pick one image per example, [N, 3, H, W], from those of all attacks in order."""
    chosen = chosen_attacks(_success(table, len(images)))
    return np.stack([*images.values()])[chosen, np.arange(len(chosen))]


def round_to_8_bits(images: np.ndarray) -> np.ndarray:
    """Round float pixels in [0, 1] to uint8 in 0–255, half to even."""
    return np.rint(images * 255).astype(np.uint8)


def add_images(table: pa.Table, images: np.ndarray, rounded: np.ndarray) -> pa.Table:
    """Append the images to a table of rows, one per example, in the row of its attack.

    Args:
        table: from `rows.make_table`, with at least one attack.
        images: float32 [N, 3, H, W].
        rounded: int [N], the model's classes of the images after rounding to 8 bits.
    """
    attacks = len(table) // len(images)
    chosen = chosen_attacks(_success(table, attacks))
    places = np.arange(len(images)) * attacks + chosen
    data, classes = np.full(len(table), None, object), np.full(len(table), None, object)
    data[places] = [image.astype(LITTLE_ENDIAN).tobytes() for image in images]
    classes[places] = rounded
    table = table.append_column(IMAGE, pa.array(data, pa.binary()))
    return table.append_column(ROUNDED, pa.array(classes, pa.int32()))


def decode_image(data: bytes, size: int) -> np.ndarray:
    """Bytes of a row to float32 [3, size, size] in [0, 1]."""
    return np.frombuffer(data, LITTLE_ENDIAN).reshape(3, size, size).astype(np.float32)


def _success(table: pa.Table, attacks: int) -> np.ndarray:
    return table["success"].to_numpy().reshape(-1, attacks)
