"""The sections of the configuration that an analysis needs, as one JSON object each.

Apart from `specs`, whose rule holds here too: what is in an object reruns the stage when it
changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.config.specs import dataset_spec, model_images, model_spec, weights_owner

ANALYSIS_BATCH = 64
IMAGES = ("crop_pct", "interpolation")


def perturb_spec(config: Mapping, name: str, generator: str, stand_in: Mapping[str, bool]) -> dict:
    """Perturbations of one generator for the semantics analysis `name`."""
    entry = config["semantics"][name]
    return {
        "semantics": name,
        "generator": generator,
        "attack": {"name": entry.get("attack", "pgd"), "options": entry.get("options", {})},
        "threat": entry["threat"],
        "dataset": _dataset(
            config, entry, stand_in, _images(entry, model_images(config, generator))
        ),
        "show": entry.get("show", []),
        "examples": entry.get("examples", 16),
        "attack_label": entry.get("attack_label", "label"),
        "model": model_spec(config, generator),
        "sign": entry.get("sign", "minus"),
        "seed": config["seed"],
        "batch_size": analysis_batch_size(config),
    }


def _dataset(config: Mapping, entry: Mapping, stand_in: Mapping[str, bool], images: dict) -> dict:
    """The images of an analysis: of its data set's evaluation split, read as `images` says."""
    name = entry["dataset"]
    split = config["datasets"][name]["eval_split"]
    return dataset_spec(config, name, split, entry.get("num_examples"), stand_in[name], **images)


def analysis_batch_size(config: Mapping) -> int:
    """Images per batch of an analysis, whose last bits depend on it: "auto" is a fixed number."""
    size = config["compute"]["batch_size"]
    return ANALYSIS_BATCH if size == "auto" else size


def _images(entry: Mapping, own: Mapping) -> dict:
    """How images are brought to a model's size: as the analysis says, else as the model has it."""
    return {key: entry.get(key) or own[key] for key in IMAGES}


def classify_spec(config: Mapping, name: str, generator: str, classifier: str) -> dict:
    """Classification of one generator's perturbations, with its controls, by one classifier."""
    entry = config["semantics"][name]
    read = config["datasets"][config["experiments"][classifier]["eval_dataset"]]
    read = {"crop_pct": read.get("crop_pct", 1.0), "interpolation": read.get("interpolation")}
    return {
        "semantics": name,
        "generator": generator,
        "classifier": classifier,
        "model": model_spec(config, classifier),
        "images": _images(model_images(config, classifier), read),
        "controls": entry.get("controls", []),
        "num_classes": config["datasets"][entry["dataset"]]["num_classes"],
        "seed": config["seed"],
        "batch_size": analysis_batch_size(config),
    }


def gradients_spec(config: Mapping, name: str, experiment: str) -> dict:
    """Gradient accumulation of one experiment's model towards the target classes by name."""
    entry = config["gradients"][name]
    model = model_spec(config, experiment)
    return {
        "experiment": experiment,
        "model": model,
        "targets": entry["targets"],
        "epsilon": entry.get("epsilon", 15.0),
        "steps": entry.get("steps", 100),
        "step_factor": entry.get("step_factor", 1.5),
        "image_size": model["image_size"],
        "seed": config["seed"],
    }


def comparison_spec(config: Mapping, name: str) -> dict:
    """Which classifications of the analysis `name` are compared."""
    entry = config["semantics"][name]
    return {
        "semantics": name,
        "generators": entry["generators"],
        "classifiers": entry["classifiers"],
    }


FINAL = "final"  # in place of an epoch


def losses_spec(
    config: Mapping, name: str, experiment: str, epoch: str, stand_in: Mapping[str, bool]
) -> dict:
    """Losses of one experiment's model under few and many attack steps.

    Args:
        config: resolved configuration.
        name: of the entry of `attack_losses`.
        experiment: whose weights are attacked.
        epoch: after so many epochs, as a string, or "final".
        stand_in: for each data set, whether it is built from a stand-in archive.
    """
    entry = config["attack_losses"][name]
    return {
        "analysis": name,
        "experiment": experiment,
        "epoch": None if epoch == FINAL else int(epoch),
        "model": model_spec(config, experiment),
        "dataset": _dataset(config, entry, stand_in, model_images(config, experiment)),
        "threat": entry["threat"],
        "steps": entry["steps"],
        "step_factor": entry.get("step_factor", 1.5),
        "step_for": entry.get("step_for"),
        "seeds": entry.get("seeds", 1),
        "only_correct": entry.get("only_correct"),
        "seed": config["seed"],
        "batch_size": analysis_batch_size(config),
    }


def losses_names(config: Mapping, name: str) -> list[tuple[str, str]]:
    """Experiment and epoch (or "final") of every job of an entry of `attack_losses`."""
    entry = config["attack_losses"][name]
    epochs = [str(epoch) for epoch in entry.get("epochs") or [FINAL]]
    return [(experiment, epoch) for experiment in entry["experiments"] for epoch in epochs]


def losses_weights(config: Mapping, experiment: str, epoch: str) -> str:
    """The weights that such a job attacks, relative to the folder of the run."""
    kind, owner = weights_owner(config, experiment)
    folder = "train" if kind == "experiment" else "checkpoints"
    if epoch == FINAL:
        return f"{folder}/{owner}/weights.safetensors"
    return f"{folder}/{owner}/epochs/{epoch}.safetensors"
