"""The CIFAR ResNets in the examples of `pyautoattack`, whose package ships trained weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from torch import nn

from robustvit.core.errors import UserError, unknown_name

CONSTRUCTORS = {18: "ResNet18", 34: "ResNet34", 50: "ResNet50", 101: "ResNet101", 152: "ResNet152"}


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build a CIFAR ResNet whose keys are those of `pyautoattack/examples/model_test.pt`.

    Args:
        args: {"depth": 18} (default), 34, 50, 101 or 152.
        num_classes: size of the head; 10 for the weights in the package.
        image_size: 32.
        drop_path: 0, the class has no stochastic depth.

    Raises:
        UserError: for another depth, image size or drop path.
    """
    keywords = dict(args)
    depth = keywords.pop("depth", 18)
    if depth not in CONSTRUCTORS:
        raise unknown_name("depth", depth, CONSTRUCTORS, "args.depth")
    if keywords or image_size != 32 or drop_path:
        raise UserError(
            'model family "pyautoattack_resnet" takes `args: {depth: 18}`, image_size 32 and '
            f"drop_path 0 only, not args {args}, image_size {image_size}, drop_path {drop_path}"
        )
    model = getattr(_examples(), CONSTRUCTORS[depth])()
    if num_classes != model.linear.out_features:
        model.linear = nn.Linear(model.linear.in_features, num_classes)
    return model


def _examples() -> ModuleType:
    """Load `examples/resnet.py` by its path: the folder is data of the package, not a module."""
    package = importlib.util.find_spec("pyautoattack")
    if package is None or package.origin is None:
        raise UserError('model family "pyautoattack_resnet" needs the package pyautoattack')
    path = Path(package.origin).parent / "examples" / "resnet.py"
    spec = importlib.util.spec_from_file_location("pyautoattack_examples_resnet", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
