"""RobustBench's package: the one place where it is imported, and its models by name.

Its evaluation imports a module `autoattack`, which the index only has as `pyautoattack`, with other
keywords. `import_robustbench` puts an adapter into `sys.modules` first.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import types
import warnings
from functools import cache
from pathlib import Path

from robustvit.core.errors import UserError, unknown_name

DATASETS = ("cifar10", "cifar100", "imagenet")
# As the package's dictionaries are called in model_zoo/<dataset>.py.
THREATS = {"Linf": "linf", "L2": "l2", "corruptions": "common_corruptions"}


# How RobustBench prepares images, by its names, as keys of a model here; what is not in the list
# (a crop without a resize, a resize to a square) the evaluation here has no keys for.
PREPARATIONS = {
    "Res256Crop224": {"crop_pct": 0.875, "interpolation": "bilinear"},
    "BicubicRes256Crop224": {"crop_pct": 0.875, "interpolation": "bicubic"},
    None: {},
}


def zoo_names(dataset: str, threat: str) -> tuple[str, ...]:
    """Names of RobustBench's models, read from its source: importing it would load torch.

    Args:
        dataset: "cifar10", "cifar100" or "imagenet".
        threat: "Linf", "L2" or "corruptions".

    Raises:
        UserError: if the package is not installed.
    """
    return tuple(_zoo_preparations(dataset, threat))


def zoo_preparation(dataset: str, threat: str, name: str) -> str | None:
    """What RobustBench calls its preparation of images for a model; None for none of its own."""
    if dataset not in DATASETS or threat not in THREATS:
        return None
    return _zoo_preparations(dataset, threat).get(name)


@cache
def _zoo_preparations(dataset: str, threat: str) -> dict[str, str | None]:
    package = importlib.util.find_spec("robustbench")
    if package is None or package.origin is None:
        raise UserError("model family robustbench: the package robustbench is not installed")
    path = Path(package.origin).parent / "model_zoo" / f"{dataset}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return {
        pair.elts[0].value: _preparation(pair.elts[1])
        for part in tree.body
        if isinstance(part, ast.Assign) and _names(part) == {THREATS[threat]}
        for pair in ast.walk(part.value)
        if isinstance(pair, ast.Tuple) and _is_entry(pair)
    }


def _preparation(entry: ast.Dict) -> str | None:
    for key, value in zip(entry.keys, entry.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "preprocessing":
            return value.value if isinstance(value, ast.Constant) else None
    return None


def _names(part: ast.Assign) -> set[str]:
    return {node.id for node in part.targets if isinstance(node, ast.Name)}


def _is_entry(pair: ast.Tuple) -> bool:
    first, *others = pair.elts
    return isinstance(first, ast.Constant) and len(others) == 1 and isinstance(others[0], ast.Dict)


def leaderboard_name(source: str) -> str:
    """RobustBench's name for the images of a source; other sources keep theirs."""
    return "imagenet" if source == "imagenet_val" else source


def check_zoo_name(args: dict, where: str) -> None:
    """Check the `args` of a model of family robustbench.

    Raises:
        UserError: for an unknown data set, threat or name, with the nearest one; where another
            threat or data set has the name, the message says so.
    """
    for key, allowed in (("dataset", DATASETS), ("threat", tuple(THREATS))):
        if args.get(key) not in allowed:
            raise unknown_name(f"RobustBench {key}", args.get(key), allowed, f"{where}.{key}")
    name, dataset, threat = args.get("model"), args["dataset"], args["threat"]
    if name in zoo_names(dataset, threat):
        return
    elsewhere = [(d, t) for d in DATASETS for t in THREATS if name in zoo_names(d, t)]
    if elsewhere:
        places = ", ".join(f"dataset {d} with threat {t}" for d, t in elsewhere)
        raise UserError(
            f"{where}.model: RobustBench has {name} for {places}, not for dataset {dataset} with "
            f"threat {threat}"
        )
    raise unknown_name("RobustBench model", name, zoo_names(dataset, threat), f"{where}.model")


def import_robustbench(module: str = "robustbench") -> types.ModuleType:
    """Import RobustBench or a module of it, with `pyautoattack` standing in for `autoattack`."""
    if "autoattack" not in sys.modules:
        import pyautoattack.state

        from robustvit.models.zoo_autoattack import AutoAttack

        adapter = types.ModuleType("autoattack")
        adapter.AutoAttack, adapter.state = AutoAttack, pyautoattack.state
        sys.modules.update({"autoattack": adapter, "autoattack.state": pyautoattack.state})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of `pkg_resources` and old names of timm
        return importlib.import_module(module)
