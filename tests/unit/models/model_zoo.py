"""The specification's table of architectures (A2), by the names of the released code."""

from __future__ import annotations

from typing import NamedTuple


def xcit(width: int, heads: int, tokens_norm: bool = True) -> dict:
    """Keywords of an XCiT with 12 layers and patches of 16 pixels."""
    return {
        "patch_size": 16,
        "embed_dim": width,
        "depth": 12,
        "num_heads": heads,
        "eta": 1.0,
        "tokens_norm": tokens_norm,
    }


class Architecture(NamedTuple):
    """What the specification says of a model.

    `parameters` by number of classes; `gmacs` is the computed value at `image_size`, and
    `published` the paper's GFLOPs where it prints any.
    """

    family: str
    args: dict
    parameters: dict[int, int]
    gmacs: float | None = None
    published: float | None = None
    image_size: int = 224
    patch_size: int | None = None


LARGE = xcit(768, 16)
RESNEXT = {"layers": [3, 4, 36, 3], "cardinality": 32, "base_width": 8, "act": "silu"}
ZOO = {
    "xcit_nano_12_p16_224": Architecture(
        "xcit", xcit(128, 4, tokens_norm=False), {1000: 3_053_224, 100: 2_937_124}, 0.55
    ),
    "xcit_small_12_p16_224": Architecture(
        "xcit",
        xcit(384, 8),
        {1000: 26_253_304, 102: 25_907_574, 10: 25_872_154, 100: 25_906_804},
        4.80,
        4.82,
    ),
    "xcit_medium_12_p16_224": Architecture("xcit", xcit(512, 8), {1000: 46_401_160}, 8.51, 8.54),
    "xcit_large_12_p16_224": Architecture("xcit", LARGE, {1000: 103_792_648}, 18.93, 18.97),
    "xcit_large_12_h8_p16_224": Architecture("xcit", xcit(768, 8), {1000: 103_792_552}, 19.11),
    # The counts of the 32-pixel models are printed with two decimals only; these are the sums of
    # the 224-pixel models with smaller heads, (d + 1) · classes, since a stride has no weights.
    "xcit_small_12_p4_32": Architecture(
        "xcit", xcit(384, 8), {10: 25_872_154, 100: 25_906_804}, 1.56, None, 32, 4
    ),
    "xcit_medium_12_p4_32": Architecture(
        "xcit", xcit(512, 8), {10: 45_893_290, 100: 45_939_460}, 2.78, None, 32, 4
    ),
    "xcit_large_12_p4_32": Architecture(
        "xcit", LARGE, {10: 103_031_338, 100: 103_100_548}, 6.18, None, 32, 4
    ),
    "xcit_small_12_p8_32": Architecture("xcit", xcit(384, 8), {10: 25_872_154}, 0.39, None, 32, 8),
    "cait_s12_224": Architecture(
        "timm",
        {"model": "cait_s24_224", "depth": 12, "init_values": 1.0},
        {1000: 25_611_688},
        None,
        4.76,
    ),
    "deit_small_patch16_224": Architecture(
        "timm", {"model": "deit_small_patch16_224"}, {1000: 22_050_664}, 4.24, 4.61
    ),
    "convnext_tiny": Architecture("timm", {"model": "convnext_tiny"}, {1000: 28_589_128}, 4.46),
    "resnet50_gelu": Architecture("resnet", {"act": "gelu"}, {1000: 25_557_032}, 4.09, 4.11),
    "resnet50_32": Architecture(
        "resnet", {"stem": "cifar"}, {10: 23_520_842, 100: 23_705_252}, 1.30, None, 32
    ),
    "resnet18_gelu": Architecture(
        "resnet",
        {"block": "basic", "layers": [2, 2, 2, 2], "act": "gelu"},
        {1000: 11_689_512},
        1.81,
    ),
    "resnet152_gelu": Architecture(
        "resnet", {"layers": [3, 8, 36, 3], "act": "gelu"}, {1000: 60_192_808}, 11.51
    ),
    "resnext152_32x8d": Architecture(
        "resnet", RESNEXT, {1000: 119_968_040}, 66.03, 66.26, image_size=380
    ),
    "wide_resnet50_2": Architecture(
        "resnet", {"base_width": 128}, {1000: 68_883_240}, 11.40, 11.47
    ),
}


def model_spec(name: str, classes: int) -> dict:
    """MODEL of an architecture of the table."""
    model = ZOO[name]
    return {
        "name": name,
        "family": model.family,
        "args": model.args,
        "num_classes": classes,
        "image_size": model.image_size,
        "patch_size": model.patch_size,
        "drop_path": 0.0,
        "normalization": None,
    }
