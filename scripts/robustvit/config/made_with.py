"""What each result of a report would be made with now, to be held against what it was made with.

Between runs Snakemake does so by the parameters of its jobs. A report that starts no job
(`report_now`) may find results of settings that were changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robustvit.config import inputs
from robustvit.config.analysis_specs import (
    classify_spec,
    losses_names,
    losses_spec,
    perturb_spec,
)
from robustvit.config.specs import build_spec, gather_spec, train_spec, weights_owner
from robustvit.reporting.results import Results

IMAGES = ("image_size", "crop_pct", "interpolation")
PERTURBED = ("attack", "threat", "sign", "dataset", "attack_label")
LOSSES = ("threat", "only_correct", "seeds", "steps", "step_factor", "step_for")


def made_with(config: Mapping, report: Mapping) -> dict[str, dict]:
    """The settings of every result that a report shows, by file below the results root.

    Args:
        config: resolved configuration.
        report: `reports.report_spec` of it.

    Returns:
        {file: {"kind", "where": key of the configuration, "protocol": key of the one that an
        evaluation takes its attack from, "settings": as the result's own record holds them,
        "rests_on": files of other results, "images": {input of a training: manifest of its
        images}}}.
    """
    stand_in = inputs.stand_in_datasets(config)
    found: dict[str, dict] = {}
    for part in (_datasets, _checkpoints, _trainings, _evaluations, _semantics, _figures):
        found.update(part(config, report, stand_in))
    return found


def _entry(kind: str, where: str, settings: Mapping, *rests_on: str, **images: str) -> dict:
    return {
        "kind": kind,
        "where": where,
        "settings": dict(settings),
        "rests_on": list(dict.fromkeys(rests_on)),
        "images": images,
    }


def _weights(config: Mapping, name: str) -> str:
    """The result that says how the weights of an experiment were made."""
    kind, owner = weights_owner(config, name)
    return Results.training_file(owner) if kind == "experiment" else Results.checkpoint_file(owner)


def _datasets(config: Mapping, report: Mapping, stand_in: Mapping) -> Iterator[tuple[str, dict]]:
    for name in report["datasets"]:
        built = build_spec(config, name)
        settings = {"builder": built["builder"], "options": built["options"]}
        settings["stand_in"] = stand_in[name]
        yield Results.dataset_file(name), _entry("dataset", f"datasets.{name}", settings)


def _checkpoints(config: Mapping, report: Mapping, _: Mapping) -> Iterator[tuple[str, dict]]:
    for name in report["checkpoints"]:
        known = {key: config["checkpoints"][name].get(key) for key in ("url", "sha256")}
        settings = {key: value for key, value in known.items() if value}
        yield Results.checkpoint_file(name), _entry("checkpoint", f"checkpoints.{name}", settings)


def _trainings(config: Mapping, report: Mapping, stand_in: Mapping) -> Iterator[tuple[str, dict]]:
    for name in report["experiments"]:
        if config["experiments"][name]["recipe"]:
            spec = train_spec(config, name, stand_in)
            used = {"train": spec["dataset"], "evaluation": spec["eval_dataset"]}
            used |= {"synthetic": spec["synthetic"]["dataset"]} if spec["synthetic"] else {}
            images = {key: Results.dataset_file(read["name"]) for key, read in used.items()}
            start = [_start(config, spec["init"])] if spec["init"] else []
            yield (
                Results.training_file(name),
                _entry("training", f"experiments.{name}", spec, *images.values(), *start, **images),
            )


def _start(config: Mapping, init: Mapping) -> str:
    of_experiment = init["kind"] == "experiment"
    return (
        _weights(config, init["name"]) if of_experiment else Results.checkpoint_file(init["name"])
    )


def _evaluations(config: Mapping, report: Mapping, stand_in: Mapping) -> Iterator[tuple[str, dict]]:
    for name, shown in report["experiments"].items():
        for protocol in shown["evaluate"]:
            spec = gather_spec(config, name, protocol, stand_in)
            read = spec["dataset"]
            settings = {key: spec[key] for key in ("attack", "threat", "seed")}
            settings |= {key: read[key] for key in ("split", "num_examples", "stand_in")}
            settings |= {"dataset": read["name"], "images": {key: read[key] for key in IMAGES}}
            below = _weights(config, name), Results.dataset_file(read["name"])
            entry = _entry("evaluation", f"experiments.{name}, {protocol}", settings, *below)
            yield (
                Results.evaluation_file(name, protocol),
                entry | {"protocol": f"protocols.{protocol}"},
            )


def _semantics(config: Mapping, report: Mapping, stand_in: Mapping) -> Iterator[tuple[str, dict]]:
    for shown in report["semantics"]:
        name, classified = shown["name"], []
        for generator in (entry["experiment"] for entry in shown["generators"]):
            spec = perturb_spec(config, name, generator, stand_in)
            settings = {key: spec[key] for key in (*PERTURBED, "seed")}
            below = _weights(config, generator), Results.dataset_file(spec["dataset"]["name"])
            made = Results.perturbations_file(name, generator)
            where = f"semantics.{name}"
            yield made, _entry("perturbations", where, settings, *below)
            for classifier in (entry["experiment"] for entry in shown["classifiers"]):
                asked = classify_spec(config, name, generator, classifier)
                own = settings | {key: asked[key] for key in ("controls", "seed")}
                own["images"] = _classified(asked)
                file = Results.semantics_file(name, generator, classifier)
                classified.append(file)
                yield (
                    file,
                    _entry("classification", where, own, made, _weights(config, classifier)),
                )
        if classified:
            file = Results.comparison_file(name)
            yield file, _entry("comparison", f"semantics.{name}", {}, *classified)


def _classified(asked: Mapping) -> dict:
    """How `classify_perturbations` brings pictures to the classifier's size."""
    images = asked["images"]
    return {
        "image_size": asked["model"]["image_size"],
        "crop_pct": images.get("crop_pct") or 1.0,
        "interpolation": images.get("interpolation") or "bicubic",
    }


def _figures(config: Mapping, _: Mapping, stand_in: Mapping) -> Iterator[tuple[str, dict]]:
    """What figures alone show: images grown from noise, and losses under attack."""
    for figure in inputs.shown_figures(config):
        options = config["figures"][figure].get("options", {})
        if name := options.get("gradients"):
            for experiment in config["gradients"][name]["experiments"]:
                entry = _entry("gradients", f"gradients.{name}", {}, _weights(config, experiment))
                yield f"gradients/{name}/{experiment}.npz", entry
        if name := options.get("attack_losses"):
            for experiment, epoch in losses_names(config, name):
                yield (
                    f"losses/{name}/{experiment}/{epoch}.json",
                    _losses(config, name, experiment, epoch, stand_in),
                )


def _losses(config: Mapping, name: str, experiment: str, epoch: str, stand_in: Mapping) -> dict:
    spec = losses_spec(config, name, experiment, epoch, stand_in)
    read = spec["dataset"]
    settings = {key: spec[key] for key in LOSSES} | {"dataset": read["name"]}
    settings |= {key: read[key] for key in ("split", "stand_in")}
    settings["steps"] = sorted(spec["steps"])
    settings["images"] = {key: read[key] for key in (*IMAGES, "num_examples")}
    below = _weights(config, experiment), Results.dataset_file(read["name"])
    return _entry("losses", f"attack_losses.{name}", settings, *below)
