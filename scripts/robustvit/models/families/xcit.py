"""Cross-covariance image transformers (El-Nouby et al. 2021): timm's class, any size."""

from __future__ import annotations

import math

from timm.models.xcit import Xcit
from torch import nn

from robustvit.core.errors import UserError
from robustvit.models.families._arguments import check_arguments
from robustvit.models.layers.xcit import speed_up

__all__ = ["adapt_patch_size", "build", "speed_up"]

STEM_PATCH_SIZES = (8, 16)


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build an XCiT.

    Args:
        args: keywords of `timm.models.xcit.Xcit`, for instance {"patch_size": 16,
            "embed_dim": 384, "depth": 12, "num_heads": 8, "eta": 1.0, "tokens_norm": true}.
        num_classes: size of the head.
        image_size: side of the images in pixels, a multiple of the stem's patch size.
        drop_path: rate of stochastic depth, the same in every cross-covariance block.

    Raises:
        UserError: for an unknown keyword, or a patch size or image size that does not fit.
    """
    check_arguments(Xcit.__init__, args, "xcit")
    patch_size = args.get("patch_size", 16)
    if patch_size not in STEM_PATCH_SIZES:
        raise UserError(
            f"XCiT's stem is built with `args.patch_size` 8 or 16, not {patch_size}; give the "
            "smaller patch as the model's `patch_size`, which adapts the stem"
        )
    if image_size % patch_size:
        raise UserError(
            f"image_size {image_size} is not a multiple of XCiT's patch size {patch_size}"
        )
    return Xcit(img_size=image_size, num_classes=num_classes, drop_path_rate=drop_path, **args)


def adapt_patch_size(model: nn.Module, patch_size: int) -> None:
    """Make the stem of `model` produce patches of `patch_size` pixels, keeping every weight.

    The first log2(old / new) convolutions of the stem get stride 1. The released code meant the
    same, but for patch 2 its loop also hit the last convolution; here a patch of 2 is 2 pixels.

    Raises:
        UserError: if the old patch size is not the new one times a power of two.
    """
    stem = model.patch_embed
    convolutions = [module for module in stem.modules() if isinstance(module, nn.Conv2d)]
    changes = math.log2(stem.patch_size / patch_size) if patch_size > 0 else -1
    if changes != int(changes) or not 0 <= changes <= len(convolutions):
        raise UserError(
            f"patch_size {patch_size} cannot be made from a stem with patches of "
            f"{stem.patch_size}: use {stem.patch_size} divided by 1, 2, 4, …"
        )
    for convolution in convolutions[: int(changes)]:
        convolution.stride = (1, 1)
    stem.num_patches = math.prod(size // patch_size for size in stem.img_size)
    stem.patch_size = patch_size
    model.feature_info = [{**info, "reduction": patch_size} for info in model.feature_info]
