"""Residual networks with a choice of activation and of stem."""

from __future__ import annotations

from timm.layers import get_act_layer
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

from robustvit.core.errors import unknown_name
from robustvit.models.families._arguments import check_arguments

BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}
STEMS = ("imagenet", "cifar")


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build a ResNet out of timm's blocks.

    Args:
        args: {"layers": [3, 4, 6, 3], "block": "bottleneck", "act": "gelu", "stem": "cifar"} and
            further keywords of `timm.models.resnet.ResNet` such as `cardinality`, `base_width`.
            `act` (default "relu") replaces every activation; the stem "cifar" (default
            "imagenet") is one 3×3 convolution of stride 1 without pooling, for 32-pixel images.
        num_classes: size of the head.
        image_size: not used, any size fits.
        drop_path: rate of stochastic depth at the last block.

    Raises:
        UserError: for an unknown block, stem or keyword.
    """
    keywords = dict(args)
    block = keywords.pop("block", "bottleneck")
    stem = keywords.pop("stem", "imagenet")
    layers = tuple(keywords.pop("layers", (3, 4, 6, 3)))
    activation = get_act_layer(keywords.pop("act", "relu"))
    if block not in BLOCKS:
        raise unknown_name("block", block, BLOCKS, "args.block")
    if stem not in STEMS:
        raise unknown_name("stem", stem, STEMS, "args.stem")
    check_arguments(ResNet.__init__, keywords, "resnet")
    model = ResNet(
        BLOCKS[block],
        layers,
        num_classes=num_classes,
        act_layer=activation,
        drop_path_rate=drop_path,
        **keywords,
    )
    if stem == "cifar":
        _use_small_stem(model)
    return model


def _use_small_stem(model: ResNet) -> None:
    width = model.conv1.out_channels
    # With torch's initial weights, not timm's: the released code replaces the layer like this.
    model.conv1 = nn.Conv2d(3, width, kernel_size=3, stride=1, padding=1, bias=False)
    model.maxpool = nn.Identity()
