"""The sections of the configuration that one stage needs, as one JSON object each.

A rule gets exactly one such object as its parameter. Whatever is in it reruns the stage when it
changes, so nothing else may be: no label, no other experiment, no path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from robustvit.core.errors import UserError

OPTIONAL = ("keep_epochs", "watch")  # keys of a recipe that say nothing while they are null
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def to_json(spec: Mapping) -> str:
    """Write a spec canonically: sorted keys, so that the order in the YAML changes nothing."""
    return json.dumps(spec, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def dataset_spec(
    config: Mapping,
    name: str,
    split: str,
    num_examples: int | None = None,
    stand_in: bool = False,
    crop_pct: float | None = None,
    interpolation: str | None = None,
) -> dict:
    """What a reader of `split` of the data set needs.

    Args:
        config: resolved configuration.
        name: of the data set.
        split: of the data set.
        num_examples: picks a balanced part.
        stand_in: whether the set is built from a stand-in archive.
        crop_pct: the model's own, instead of the data set's.
        interpolation: likewise.
    """
    entry = config["datasets"][name]
    return {
        "name": name,
        "split": split,
        "num_classes": entry["num_classes"],
        "image_size": entry["image_size"],
        "crop_pct": crop_pct or entry.get("crop_pct", 1.0),
        "interpolation": interpolation or entry.get("interpolation", "bicubic"),
        "num_examples": num_examples,
        "stand_in": stand_in,
    }


def weights_owner(config: Mapping, name: str) -> tuple[str, str]:
    """Where an experiment's weights lie: ("experiment" | "checkpoint", name), chains followed."""
    entry = config["experiments"][name]
    if entry["recipe"]:
        return "experiment", name
    kind, source = next(iter(entry["weights"].items()))
    return (kind, source) if kind == "checkpoint" else weights_owner(config, source)


def model_images(config: Mapping, name: str) -> dict:
    """How the experiment's model wants its images, where it has its own `crop_pct` and so on."""
    kind, owner = weights_owner(config, name)
    entry = config["checkpoints" if kind == "checkpoint" else "experiments"][owner]
    model = config["models"][entry["model"]]
    keys = ("crop_pct", "interpolation")
    return {key: entry.get(key) or model.get(key) for key in keys}


def model_spec(config: Mapping, name: str) -> dict:
    """The architecture whose weights the experiment trains or evaluates."""
    kind, owner = weights_owner(config, name)
    return checkpoint_model(config, owner) if kind == "checkpoint" else _trained(config, owner)


def _trained(config: Mapping, name: str) -> dict:
    entry = config["experiments"][name]
    dataset = config["datasets"][entry["dataset"]]
    return _model(
        config,
        entry["model"],
        dataset,
        patch_size=entry["patch_size"],
        normalization=_normalization(entry, dataset),
    )


def checkpoint_model(config: Mapping, name: str) -> dict:
    """The architecture of an entry of `checkpoints`."""
    entry = config["checkpoints"][name]
    dataset = config["datasets"][entry["dataset"]]
    return _model(
        config,
        entry["model"],
        dataset,
        patch_size=entry.get("patch_size"),
        normalization=entry.get("normalization"),
    )


def _model(
    config: Mapping,
    name: str,
    dataset: Mapping,
    patch_size: int | None = None,
    normalization: Mapping | None = None,
) -> dict:
    model = config["models"][name]
    return {
        "name": name,
        "family": model["family"],
        "args": model.get("args", {}),
        "num_classes": dataset["num_classes"],
        "image_size": dataset["image_size"],
        "patch_size": patch_size or model.get("patch_size"),
        "drop_path": 0.0,
        "normalization": normalization,
    }


def _normalization(experiment: Mapping, dataset: Mapping) -> dict | None:
    kind = experiment["recipe"]["normalization"]
    if kind == "dataset" and not dataset.get("normalization"):
        raise UserError(
            f"datasets.{experiment['dataset']}.normalization: recipe {experiment['recipe_name']} "
            "normalises with the data set's statistics, but it has none. Example: "
            "{mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26]}"
        )
    return {"none": None, "half": HALF, "dataset": dataset.get("normalization")}[kind]


def train_spec(config: Mapping, name: str, stand_in: Mapping[str, bool]) -> dict:
    """Everything that decides the weights of experiment `name`, and nothing else."""
    entry = config["experiments"][name]
    recipe = {key: value for key, value in entry["recipe"].items() if _decides(key, value)}
    monitored = entry["monitor_dataset"]
    return {
        "experiment": name,
        "seed": entry["seed"],
        "dataset": _trained_on(config, name, entry["dataset"], stand_in),
        "eval_dataset": dataset_spec(
            config,
            monitored,
            config["datasets"][monitored]["eval_split"],
            recipe["evaluate_examples"],
            stand_in[monitored],
            **model_images(config, name),
        ),
        "synthetic": _synthetic_spec(config, name, stand_in),
        "model": {**model_spec(config, name), "drop_path": recipe["drop_path"]},
        "recipe": recipe,
        "threat": entry["threat"],
        "init": _init_spec(config, entry["init"]),
    }


def _decides(key: str, value: object) -> bool:
    """Whether a value of a recipe has a part in its training as such."""
    return key != "normalization" and not (key in OPTIONAL and value is None)


def _trained_on(config: Mapping, name: str, dataset: str, stand_in: Mapping[str, bool]) -> dict:
    """The training split of a data set that experiment `name` trains on."""
    split = config["datasets"][dataset]["train_split"]
    if split is None:
        raise UserError(f"datasets.{dataset}.train_split: is null, but {name} trains on it.")
    return dataset_spec(config, dataset, split, stand_in=stand_in[dataset])


def _synthetic_spec(config: Mapping, name: str, stand_in: Mapping[str, bool]) -> dict | None:
    mixed = config["experiments"][name]["synthetic"]
    if not mixed:
        return None
    dataset = _trained_on(config, name, mixed["dataset"], stand_in)
    return {"ratio": mixed["ratio"], "dataset": dataset}


def _init_spec(config: Mapping, init: Mapping | None) -> dict | None:
    if not init:
        return None
    kind, name = next(iter(init.items()))
    of = model_spec if kind == "experiment" else checkpoint_model
    return {"kind": kind, "name": name, "model": of(config, name)}


def num_examples(config: Mapping, name: str, protocol: str) -> int | None:
    """Images that `protocol` evaluates of experiment `name`; None means the whole split."""
    own = config["experiments"][name]["eval_examples"]
    return own.get(protocol, config["protocols"][protocol].get("num_examples"))


def gather_spec(config: Mapping, name: str, protocol: str, stand_in: Mapping[str, bool]) -> dict:
    """What identifies one evaluation: experiment, protocol, images, threat model, seed."""
    entry, chosen = config["experiments"][name], config["protocols"][protocol]
    dataset = config["datasets"][entry["eval_dataset"]]
    attack = chosen["attack"] and {"name": chosen["attack"], "options": chosen.get("options", {})}
    return {
        "experiment": name,
        "protocol": protocol,
        "attack": attack,
        "threat": entry["eval_threat"] if attack else None,
        "dataset": dataset_spec(
            config,
            entry["eval_dataset"],
            dataset["eval_split"],
            num_examples(config, name, protocol),
            stand_in[entry["eval_dataset"]],
            **model_images(config, name),
        ),
        "seed": entry["seed"],
    }


def evaluate_spec(
    config: Mapping, name: str, protocol: str, index: int, count: int, stand_in: Mapping[str, bool]
) -> dict:
    """One shard of an evaluation. The batch size is not in it: no result depends on it."""
    return {
        **gather_spec(config, name, protocol, stand_in),
        "model": model_spec(config, name),
        "shard": {"index": index, "count": count},
        "save_adversarial": config["protocols"][protocol].get("save_adversarial", False),
    }


def build_spec(config: Mapping, name: str) -> dict:
    """How the data set `name` is built from its source archive."""
    entry = config["datasets"][name]
    return {"dataset": name, "builder": entry["builder"], "options": entry.get("options", {})}


def checkpoint_spec(config: Mapping, name: str) -> dict:
    """How the weights of others are fetched and what model they belong to."""
    entry = config["checkpoints"][name]
    return {
        "checkpoint": name,
        "url": entry.get("url"),
        "sha256": entry.get("sha256"),
        "mirrors": config["paths"]["mirror"],
        "model": checkpoint_model(config, name),
    }
