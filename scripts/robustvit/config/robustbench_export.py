"""What the export of an experiment's evaluation to RobustBench's format is told."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.config.lineage import trained_on
from robustvit.config.specs import model_spec, weights_owner
from robustvit.models.zoo import leaderboard_name

SETS = ("cifar10", "cifar100", "imagenet")  # that RobustBench has leaderboards for
OUTSIDE = ("python", "robustbench")  # families of which nothing is known but their logits


def exported_protocol(config: Mapping, name: str) -> str | None:
    """The protocol of an experiment that runs AutoAttack, or None."""
    asked = config["experiments"][name]["evaluate"]
    return next((p for p in asked if config["protocols"][p]["attack"] == "autoattack"), None)


def exported_experiments(config: Mapping, names: list[str]) -> list[str]:
    """Those of the experiments that RobustBench could list."""
    return [name for name in names if exported_protocol(config, name)]


def robustbench_spec(config: Mapping, name: str, stand_in: Mapping[str, bool]) -> dict:
    """What is known of an experiment's model beside its numbers.

    Args:
        config: resolved configuration.
        name: of the experiment.
        stand_in: for each data set, whether it is built from a stand-in archive.

    Returns:
        {"about", "dataset", "architecture", "additional_data", "forward_passes", "leaderboard",
        "trained_on_stand_in", "reported"}: `leaderboard` says whether the images are those of
        RobustBench, `reported` is the key of a published number.
    """
    entry = config["experiments"][name]
    dataset = config["datasets"][entry["eval_dataset"]]
    model = model_spec(config, name)
    published = entry["published"].get(exported_protocol(config, name)) or [None]
    source = leaderboard_name(dataset["source"])
    return {
        "about": entry["about"],
        "dataset": source if source in SETS else entry["eval_dataset"],
        "architecture": config["models"][model["name"]]["label"],
        "additional_data": _additional_data(config, name),
        "forward_passes": None if model["family"] in OUTSIDE else 1,
        "leaderboard": _is_leaderboards(dataset),
        "trained_on_stand_in": any(stand_in[used] for used in trained_on(config, name)),
        "reported": published[0],
    }


def _additional_data(config: Mapping, name: str) -> bool | None:
    """Whether the model saw more than its data set; None where others trained it."""
    kind, owner = weights_owner(config, name)
    if kind == "checkpoint":
        return None
    entry = config["experiments"][owner]
    return bool(entry["synthetic"] or entry["init"])


def _is_leaderboards(dataset: Mapping) -> bool:
    if leaderboard_name(dataset["source"]) == "imagenet":
        options = dataset.get("options", {})
        return dataset["builder"] == "imagenet_files" and options.get("classes") == "imagenet1k"
    return dataset["source"] in SETS and dataset["builder"] == dataset["source"]
