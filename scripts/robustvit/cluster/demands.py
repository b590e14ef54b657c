"""Time and memory that jobs ask a cluster for, from `plan`'s estimates.

A key is a stage and what it works on: `train/<experiment>`, `evaluate/<experiment>/<protocol>`,
`perturb/<analysis>/<generator>`, `classify/<analysis>/<generator>/<classifier>`,
`gradients/<analysis>/<experiment>`, `losses/<analysis>/<experiment>`, `build/<data set>`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from robustvit.config.report_jobs import shard_count
from robustvit.core.errors import UserError
from robustvit.core.files import read_json

VARIABLE = "ROBUSTVIT_DEMANDS"
ROOT = Path(__file__).resolve().parents[3]
PLANNING = Path(__file__).resolve().parents[1] / "planning"
MARGIN = 2.0  # of a time limit over the greatest estimate: nodes differ, files lie far away
START_MINUTES = 15  # Python, a cold file system, two nested Snakemakes
PROCESS_MB, WORKER_MB = 6000, 700  # torch with CUDA and a decoded data set; one data worker
HOST_COPIES = 8  # of a training's float32 weights: state, average, best so far, while it saves


def jobs_of(config: Mapping) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Key, rule and wildcards of every job that runs for long."""
    for name in config["datasets"]:
        yield f"build/{name}", "build_dataset", {"dataset": name}
    for name, entry in config["experiments"].items():
        if not entry["weights"]:
            yield f"train/{name}", "pretrain_model", {"experiment": name}
        for protocol in config["protocols"]:
            shards = str(shard_count(config, name, protocol))
            wildcards = {"experiment": name, "protocol": protocol, "shards": shards}
            yield f"evaluate/{name}/{protocol}", "evaluate_model", wildcards
    for name, entry in config["gradients"].items():
        for experiment in entry["experiments"]:
            wildcards = {"analysis": name, "experiment": experiment}
            yield f"gradients/{name}/{experiment}", "accumulate_gradients", wildcards
    for name, entry in config["attack_losses"].items():
        for experiment in entry["experiments"]:
            wildcards = {"analysis": name, "experiment": experiment}
            yield f"losses/{name}/{experiment}", "measure_losses", wildcards
    for name, entry in config["semantics"].items():
        for generator in entry["generators"]:
            wildcards = {"analysis": name, "generator": generator}
            yield f"perturb/{name}/{generator}", "make_perturbations", wildcards
            for classifier in entry["classifiers"]:
                yield (
                    f"classify/{name}/{generator}/{classifier}",
                    "classify_perturbations",
                    {**wildcards, "classifier": classifier},
                )


def minutes(seconds: float) -> int:
    """The time limit for an estimate, in minutes."""
    return math.ceil(seconds * MARGIN / 60) + START_MINUTES


def training_memory(parameters: int, compute: Mapping) -> int:
    """Memory in MB on each node of a training, of a model with so many parameters."""
    each = PROCESS_MB + WORKER_MB * compute["workers"] + HOST_COPIES * 4 * parameters / 1e6
    return math.ceil(each * compute["training"]["processes"])


def job_memory(parameters: int) -> int:
    """Memory in MB of a job that only reads weights."""
    return math.ceil(PROCESS_MB + 3 * 4 * parameters / 1e6)


def load_demands(
    config: Mapping, stand_in: Mapping[str, bool], device: str, compute: bool = True
) -> dict[str, dict]:
    """Return {"minutes", "memory_mb"} of every long job; computed once for a configuration.

    The jobs' own Snakemakes find the file that the first one made by the variable
    ROBUSTVIT_DEMANDS. With `compute` false they are read if they are there, and empty otherwise.

    Raises:
        UserError: if the estimate fails, for instance for an unknown `device`.
    """
    path = os.environ.get(VARIABLE)
    if not path or not Path(path).is_file():
        text = json.dumps({"config": config, "stand_in": stand_in, "device": device}, default=str)
        path = str(_file(config, text))
        if not Path(path).is_file():
            if not compute:
                return {}
            _compute(text, path)
        os.environ[VARIABLE] = path
    return read_json(path)


def _file(config: Mapping, text: str) -> Path:
    hashed = hashlib.sha256(text.encode())
    sources = [*PLANNING.glob("*.py"), *(ROOT / "planning").glob("*.yaml"), Path(__file__)]
    for source in sorted(sources):
        hashed.update(source.read_bytes())
    folder = Path(config["paths"]["results"]) / config["name"] / "work" / "demands"
    return (folder / f"{hashed.hexdigest()[:16]}.json").absolute()


def _compute(text: str, path: str) -> None:
    # A process of its own: torch would stay in the memory of Snakemake for the whole run.
    command = [sys.executable, str(ROOT / "scripts" / "estimate_demands.py"), "--output", path]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().removeprefix("error: ")
        raise UserError(f"the jobs' time limits cannot be estimated: {said}")
