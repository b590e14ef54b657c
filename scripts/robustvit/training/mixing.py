"""MixUp (Zhang et al. 2018) and CutMix (Yun et al. 2019) by timm, with a seed per batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from timm.data.mixup import Mixup
from torch import Tensor

from robustvit.core.errors import UserError


def build_mixing(recipe: dict, num_classes: int) -> Mixup | None:
    """Build timm's mixing for the recipe, or None if neither MixUp nor CutMix is on.

    Label smoothing is then part of the soft targets.

    Raises:
        UserError: for an odd batch size, since images are mixed in pairs.
    """
    settings = recipe["augmentation"]
    mixup, cutmix = settings.get("mixup") or 0.0, settings.get("cutmix") or 0.0
    if mixup <= 0 and cutmix <= 0:
        return None
    if recipe["batch_size"] % 2:
        raise UserError(
            f"recipe.batch_size: MixUp and CutMix need an even batch, not {recipe['batch_size']}"
        )
    return Mixup(
        mixup_alpha=mixup,
        cutmix_alpha=cutmix,
        prob=settings.get("mixup_prob", 1.0),
        switch_prob=settings.get("mixup_switch_prob", 0.5),
        label_smoothing=recipe.get("label_smoothing") or 0.0,
        num_classes=num_classes,
    )


def mix(mixing: Mixup, images: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Mix a global batch (in place).

    Args:
        images: float32 [B, 3, H, W], B even.
        labels: int64 [B].
        seed: of this batch; the result does not depend on anything drawn before.

    Returns:
        The images and the soft targets, float32 [B, K].
    """
    with _numpy_seed(seed):
        return mixing(images, labels)


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which timm draws from, and put its state back."""
    state = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(state)
