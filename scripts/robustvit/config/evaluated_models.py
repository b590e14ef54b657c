"""`evaluate_models`: anyone's model in a few lines, as the sections of an experiment."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from robustvit.core.errors import UserError, unknown_name
from robustvit.models.zoo import PREPARATIONS, leaderboard_name, zoo_preparation

TABLE = "evaluated_models"
KINDS = ("timm", "model", "robustbench", "python")
PROTOCOLS = ["clean", "autoattack"]
OWN = "own"
KEPT = ("patch_size", "crop_pct", "interpolation")  # keys of a checkpoint
# Snakemake's `--config` hands every nested value over as a string; these are none.
VALUES = ("threat", "num_examples", "normalization", "patch_size", "crop_pct", "args", "sha256")


def read_values(entries: Mapping) -> dict:
    """Turn the numbers and nulls of `--config evaluate_models='{...}'` back into themselves."""
    return {
        name: {key: _value(value) if key in VALUES else value for key, value in entry.items()}
        if isinstance(entry, Mapping)
        else entry
        for name, entry in entries.items()
    }


def _value(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_value(inner) for inner in value]
    if not isinstance(value, str):
        return value
    read = yaml.safe_load(value) if value else None
    return read if read is None or isinstance(read, bool | int | float) else value


def add_evaluated_models(config: Mapping) -> dict:
    """Return `config` with a model, a checkpoint and an experiment for each evaluated model.

    A run that evaluates models of others is about them: its report holds one table of them and
    nothing of what the configuration had there.

    Args:
        config: merged configuration, valid by the schema.

    Raises:
        UserError: for an entry that does not say what the model is, or how it is normalised, or
            whose images RobustBench prepares in a way that is not known here.
    """
    entries = config["evaluate_models"]
    if not entries:
        return dict(config)
    added = {name: _sections(config, name, entry) for name, entry in entries.items()}
    for section in ("models", "checkpoints", "experiments"):
        for name in added:
            if name in config[section] and section in added[name]:
                raise UserError(
                    f"evaluate_models.{name}: `{section}` has an entry of this name already; "
                    f"choose another, for instance my_{name}"
                )
    return {
        **config,
        **{
            section: {
                **config[section],
                **{name: parts[section] for name, parts in added.items() if section in parts},
            }
            for section in ("models", "checkpoints", "experiments")
        },
        "tables": {**config["tables"], TABLE: _table(config, added)},
        "report": {
            **config["report"],
            "tables": [TABLE],
            "figures": [],
            "claims": [],
            "gallery": [],
            "evaluations": list(added),
            "notes": [],
        },
        "differences": [],
    }


def _sections(config: Mapping, name: str, entry: Mapping) -> dict[str, dict]:
    where = f"evaluate_models.{name}"
    kind = _kind(entry, where)
    _check_keys(kind, entry, where)
    _check_radius(config, entry, where)
    label = entry.get("label", name)
    checkpoint = {
        "label": label,
        "model": entry["model"] if kind == "model" else name,
        "dataset": entry.get("trained_on", entry["dataset"]),
        "url": _url(kind, entry),
        "sha256": entry.get("sha256"),
        "normalization": entry.get("normalization", OWN if kind == "timm" else None),
    }
    checkpoint |= {key: entry[key] for key in KEPT if key in entry}
    experiment = {
        "label": label,
        "weights": {"checkpoint": name},
        "eval_dataset": entry["dataset"],
        "eval_threat": entry.get("threat"),
        "evaluate": entry.get("evaluate", PROTOCOLS),
        "source": entry.get("source", f"{kind}: {entry[kind]}"),
    }
    experiment |= {key: entry[key] for key in ("published", "about", "seed") if key in entry}
    if "num_examples" in entry:
        experiment["eval_examples"] = dict.fromkeys(experiment["evaluate"], entry["num_examples"])
    sections = {"checkpoints": checkpoint, "experiments": experiment}
    if kind == "model":
        return sections
    return {"models": _model(config, kind, entry, where) | {"label": label}, **sections}


def _kind(entry: Mapping, where: str) -> str:
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise UserError(
            f"{where}: says {' and '.join(kinds) or 'nothing'} about what the model is; expected "
            "one of `timm: resnet50`, `model: <entry of models>`, `robustbench: <name in its "
            "zoo>`, `python: my_models.py:build`"
        )
    return kinds[0]


def _check_keys(kind: str, entry: Mapping, where: str) -> None:
    if kind in ("timm", "model") and not entry.get("weights"):
        example = "timm, for those that timm releases, or file:/data/mine.pth"
        raise UserError(f"{where}.weights: is missing; for instance {example}")
    if kind == "model" and "normalization" not in entry:
        raise UserError(
            f"{where}.normalization: is missing. Pixels in [0, 1] are what an attack changes, so "
            "what the model subtracts and divides by has to be said: {mean: [0.485, 0.456, "
            "0.406], std: [0.229, 0.224, 0.225]}, or null for a model that takes raw pixels"
        )
    if kind in ("robustbench", "python") and entry.get("normalization"):
        raise UserError(
            f"{where}.normalization: a model from `{kind}` normalises inside; leave it out"
        )
    if kind in ("model", "robustbench") and "args" in entry:
        raise UserError(f"{where}.args: only `timm` and `python` take arguments; leave it out")


def _check_radius(config: Mapping, entry: Mapping, where: str) -> None:
    asked = entry.get("evaluate", PROTOCOLS)
    attacked = [p for p in asked if config["protocols"].get(p, {}).get("attack")]
    if attacked and not entry.get("threat"):
        raise UserError(
            f"{where}.threat: protocol {attacked[0]} attacks, but no radius is given; for instance "
            "{norm: linf, epsilon_255: 8}, or evaluate: [clean]"
        )


def _url(kind: str, entry: Mapping) -> str | None:
    weights = entry.get("weights")
    return f"timm:{entry['timm']}" if kind == "timm" and weights == "timm" else weights


def _model(config: Mapping, kind: str, entry: Mapping, where: str) -> dict:
    if kind == "timm":
        return {"family": "timm", "args": {"model": entry["timm"], **entry.get("args", {})}}
    if kind == "python":
        return {"family": "python", "args": {"entry": entry["python"], **entry.get("args", {})}}
    args = _zoo_args(config, entry, where)
    return {"family": "robustbench", "args": args, **_zoo_images(args, entry, where)}


def _zoo_images(args: Mapping, entry: Mapping, where: str) -> dict:
    """How RobustBench prepares the model's images, unless the entry says it itself."""
    if "crop_pct" in entry:
        return {}
    name = zoo_preparation(args["dataset"], args["threat"], args["model"])
    if name not in PREPARATIONS:
        raise UserError(
            f"{where}.robustbench: RobustBench prepares the images of {args['model']} by {name}, "
            "which is not known here. To evaluate it on other crops, say so: crop_pct: 0.875"
        )
    return PREPARATIONS[name]


def _zoo_args(config: Mapping, entry: Mapping, where: str) -> dict:
    name = entry.get("trained_on", entry["dataset"])
    if name not in config["datasets"]:
        raise unknown_name("dataset", name, config["datasets"], f"{where}.dataset")
    threat = (
        entry.get("zoo")
        or {"linf": "Linf", "l2": "L2"}[(entry.get("threat") or {"norm": "linf"})["norm"]]
    )
    source = leaderboard_name(config["datasets"][name]["source"])
    return {"model": entry["robustbench"], "dataset": source, "threat": threat}


def _table(config: Mapping, added: Mapping) -> dict:
    asked = {p for parts in added.values() for p in parts["experiments"]["evaluate"]}
    return {
        "title": "The models",
        "caption": "Top-1 accuracy in percent of each model, trained by others, evaluated here.",
        "columns": [name for name in config["protocols"] if name in asked],
        "rows": list(added),
        "comparison": "direct",
    }
