"""What each result of the paper is made from, told apart from the workflow's own functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

FIGURES = {"perturbations": "semantics", "gradients": "gradients"}


def closure(config: Mapping, targets: list[str]) -> set[str]:
    """Every file that has to be made for `targets`, shards left out; paths below the run's folder.

    Each job counts with its first output.
    """
    found, todo = set(), list(targets)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _needs(config, path.split("/"))
    return found


def _needs(config: Mapping, parts: list[str]) -> Iterator[str]:
    name = parts[1].rsplit(".", 1)[0]
    if parts[0] == "tables":
        yield from _table_needs(config, config["tables"][name])
    elif parts[0] == "figures":
        yield from _figure_needs(config, config["figures"][name])
    elif parts[0] in ("eval", "train"):
        yield from _experiment_needs(config, parts[1], parts[0])
    elif parts[-1] == "comparison.json":
        yield from _classified(config, parts[1])
    elif parts[0] == "semantics":
        yield from _semantics_needs(config, parts)
    elif parts[0] == "gradients":
        experiment = parts[2].removesuffix(".npz")
        yield manifest(config["experiments"][experiment]["eval_dataset"])
        yield weights(config, experiment)
    elif parts[0] == "datasets":
        yield f"sources/{config['datasets'][parts[1]]['source']}"


def manifest(dataset: str) -> str:
    """The manifest of a data set."""
    return f"datasets/{dataset}/manifest.json"


def weights(config: Mapping, name: str) -> str:
    """The weights that an experiment makes or evaluates."""
    entry = config["experiments"][name]
    if entry["recipe"]:
        return f"train/{name}/weights.safetensors"
    return _start(config, entry["weights"])


def _start(config: Mapping, start: Mapping) -> str:
    ((kind, name),) = start.items()
    if kind == "checkpoint":
        return f"checkpoints/{name}/weights.safetensors"
    return weights(config, name)


def _experiment_needs(config: Mapping, name: str, stage: str) -> Iterator[str]:
    entry = config["experiments"][name]
    if stage == "eval":
        yield manifest(entry["eval_dataset"])
        yield weights(config, name)
        return
    yield manifest(entry["dataset"])
    yield manifest(entry["monitor_dataset"])
    if entry["synthetic"]:
        yield manifest(entry["synthetic"]["dataset"])
    if entry["init"]:
        yield _start(config, entry["init"])


def _table_needs(config: Mapping, entry: Mapping) -> Iterator[str]:
    for row in entry.get("rows", []):
        if isinstance(row, str):
            asked = config["experiments"][row]["evaluate"]
            yield from (f"eval/{row}/{p}.parquet" for p in entry["columns"] if p in asked)
    if "semantics" in entry:
        yield f"semantics/{entry['semantics']}/comparison.json"
        yield from _classified(config, entry["semantics"])


def _classified(config: Mapping, name: str) -> Iterator[str]:
    analysis = config["semantics"][name]
    for generator in analysis["generators"]:
        for classifier in analysis["classifiers"]:
            yield f"semantics/{name}/{generator}/{classifier}.parquet"


def _figure_needs(config: Mapping, entry: Mapping) -> Iterator[str]:
    section = FIGURES[entry["kind"]]
    name = entry["options"][section]
    if section == "gradients":
        for experiment in config["gradients"][name]["experiments"]:
            yield f"gradients/{name}/{experiment}.npz"
    else:
        for generator in config["semantics"][name]["generators"]:
            yield f"semantics/{name}/{generator}/manifest.json"


def _semantics_needs(config: Mapping, parts: list[str]) -> Iterator[str]:
    analysis, generator, file = parts[1:]
    if file.endswith(".parquet"):
        yield f"semantics/{analysis}/{generator}/manifest.json"
        yield weights(config, file.removesuffix(".parquet"))
    else:
        yield manifest(config["semantics"][analysis]["dataset"])
        yield weights(config, generator)


def planned(text: str) -> set[str]:
    """The first output of each job that a dry run prints, without shards."""
    outputs = re.findall(r"^ +output: ([^,\n]+)", text, flags=re.MULTILINE)
    below = (re.sub(r"^results/(paper/)?", "", output.strip()) for output in outputs)
    return {path.removesuffix("/source.json") for path in below if "/shards/" not in path}
