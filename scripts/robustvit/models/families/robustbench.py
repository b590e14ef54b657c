"""Models of RobustBench's zoo by name, built by RobustBench's own code; normalised inside."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import timm
from torch import nn

from robustvit.core.errors import UserError
from robustvit.core.files import sha256
from robustvit.models.importing import FOLDER, find_in_mirrors, in_mirrors
from robustvit.models.weights import check_pickle, load_weights, trusted_types
from robustvit.models.zoo import check_zoo_name, import_robustbench


def build(args: dict, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Build a model of the zoo with random weights.

    Args:
        args: {"model": "Carmon2019Unlabeled", "dataset": "cifar10", "threat": "Linf"}; `threat` is
            "Linf", "L2" or "corruptions", whichever list of RobustBench the model is in.
        num_classes: has to be the data set's.
        image_size: not used: the models have the size of their data set.
        drop_path: 0.

    Raises:
        UserError: for an unknown name, or a model that RobustBench cannot build offline.
    """
    check_zoo_name(args, "args")
    if drop_path:
        raise UserError("models of RobustBench have no drop_path; set the recipe's to 0")
    package = import_robustbench()
    registered = timm_name(args)
    if timm.is_model(registered):
        return timm.create_model(registered, num_classes=num_classes)
    try:
        return _entry(package, args)["model"]()
    except OSError as error:
        raise UserError(
            f"RobustBench's {args['model']} loads other weights while it is built, and they could "
            f"not be fetched ({error}); it can only be evaluated where the network allows it"
        ) from error


def import_weights(
    args: dict, num_classes: int, mirrors: Iterable[str], path: Path | None = None
) -> tuple[nn.Module, dict[str, str]]:
    """Build a model of the zoo with its released weights, as `robustbench.load_model` does.

    The files are looked for in the mirrors as `checkpoints/<dataset>/<threat>/<model>.pt` or
    `<dataset>/<threat>/<model>.pt`, so that a mirror may be RobustBench's own `model_dir`; what is
    in none is downloaded by RobustBench.

    Args:
        args: as for `build`.
        num_classes: of the data set.
        mirrors: folders that are searched.
        path: the file itself, if it lies somewhere else.

    Returns:
        The model in evaluation mode, and the SHA-256 of each file.

    Raises:
        UserError: if a file is nowhere, holds code, or does not fit.
    """
    check_zoo_name(args, "args")
    package = import_robustbench()
    if timm.is_model(timm_name(args)):
        return _import_timm(args, num_classes, mirrors, path)
    names = file_names(args, _entry(package, args)["gdrive_id"])
    if path is not None and len(names) > 1:
        raise UserError(f"{args['model']} is an ensemble of {len(names)} files: leave `url` out")
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / args["dataset"] / args["threat"]
        inside.mkdir(parents=True)
        for name in names:
            found = path or find_in_mirrors(f"{args['dataset']}/{args['threat']}/{name}", mirrors)
            if found is not None:
                check_pickle(found)
                os.symlink(found.resolve(), inside / name)
        model = _load(package, args, Path(folder), names, mirrors)
        return model, {name: sha256(inside / name) for name in names}


def timm_name(args: dict) -> str:
    """The name under which RobustBench registers a model with timm, if it does."""
    name = args["model"].lower().replace("-", "_")
    return f"{name}_{args['dataset']}_{args['threat'].lower()}"


def file_names(args: dict, drive: str | list | None) -> list[str]:
    """RobustBench's names of a model's files: one, or one for each part of an ensemble."""
    if isinstance(drive, list):
        return [f"{args['model']}.pt_m{index}.pt" for index in range(len(drive))]
    return [f"{args['model']}.pt"]


def _entry(package: object, args: dict) -> dict:
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    zoo = package.utils.all_models[BenchmarkDataset(args["dataset"])]
    return zoo[ThreatModel(args["threat"])][args["model"]]


def _import_timm(
    args: dict, num_classes: int, mirrors: Iterable[str], path: Path | None
) -> tuple[nn.Module, dict[str, str]]:
    registered = timm_name(args)
    model = timm.create_model(registered, num_classes=num_classes).eval()
    name = Path(timm.get_pretrained_cfg(registered).url).name
    path = path or find_in_mirrors(name, mirrors)
    if path is None:
        raise UserError(
            f"{name}, the weights of RobustBench's {args['model']} for {args['dataset']}, is "
            f"{in_mirrors(mirrors)}. Download it from RobustBench's release page into "
            f"mirror/{FOLDER}/ under this name."
        )
    # The files hold the network without the normalisation in front of it.
    load_weights(model.model if hasattr(model, "model") else model, path)
    return model, {path.name: sha256(path)}


def _load(
    package: object, args: dict, folder: Path, names: list[str], mirrors: Iterable[str]
) -> nn.Module:
    missing = [n for n in names if not (folder / args["dataset"] / args["threat"] / n).exists()]
    try:
        with trusted_types():
            return package.load_model(
                args["model"], folder, dataset=args["dataset"], threat_model=args["threat"]
            )
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if not missing:
            raise UserError(
                f"weights of RobustBench's {args['model']} do not fit: {error}"
            ) from error
        place = f"mirror/{FOLDER}/{args['dataset']}/{args['threat']}/{missing[0]}"
        raise UserError(
            f"{', '.join(missing)} of RobustBench's {args['model']} is {in_mirrors(mirrors)}, and "
            f"could not be downloaded ({type(error).__name__}). Put it at {place}."
        ) from error
