"""What perturbations are held against: pictures that should tell a classifier nothing.

Each control turns a stored picture, uint8 [H, W, 3], into another one of the same kind. Its draws
depend on the seed of the run and the example's id, never on batch or device.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from robustvit.core.errors import unknown_name
from robustvit.core.random import random_bits, uniform
from robustvit.core.seeding import derive_seed


def shuffled_pixels(picture: np.ndarray, seed: int) -> np.ndarray:
    """The same pixels in random order: colours and their number stay, shapes go."""
    height, width, channels = picture.shape
    order = random_bits(torch.tensor([seed]), height * width)[0].argsort(stable=True).numpy()
    return picture.reshape(-1, channels)[order].reshape(picture.shape)


def random_sign(picture: np.ndarray, seed: int) -> np.ndarray:
    """Noise of the same ε: each component −ε or +ε, drawn anew, whatever the picture shows."""
    up = uniform(torch.tensor([seed]), picture.shape)[0].numpy() < 0.5
    return np.where(up, np.uint8(255), np.uint8(0))


def other_sign(picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture of −δ where it is that of +δ, and the other way round."""
    return 255 - picture


CONTROLS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "shuffled_pixels": shuffled_pixels,
    "random_sign": random_sign,
    "other_sign": other_sign,
}


def apply_control(name: str, picture: np.ndarray, seed: int, example: str) -> np.ndarray:
    """Return the control picture of one example.

    Args:
        name: a key of `CONTROLS`.
        picture: uint8 [H, W, 3].
        seed: of the run.
        example: its id.

    Raises:
        UserError: for an unknown control.
    """
    if name not in CONTROLS:
        raise unknown_name("control", name, CONTROLS, "semantics.controls")
    return CONTROLS[name](picture, derive_seed(seed, "control", name, example))
