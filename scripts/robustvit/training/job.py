"""A training job from its command line to its files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from robustvit.core.files import read_json, sha256
from robustvit.core.sources import code_digest
from robustvit.training.datasets import open_data
from robustvit.training.devices import Device
from robustvit.training.engine import Trainer
from robustvit.training.lock import exclusive_lock
from robustvit.training.monitor import open_monitor
from robustvit.training.outputs import OutputPaths, write_outputs
from robustvit.training.parts import plugin_modules
from robustvit.training.plan import Plan
from robustvit.training.state import LOCK, StateFolder


def job_key(spec: dict, inputs: dict[str, str | None]) -> str:
    """Hash what a training is made from: its spec, its code, and the content of its inputs.

    A state is only ever taken up by a job with the same key: one that trains the same thing on
    the same data from the same initial weights with the same source files.
    """
    code = code_digest("train_model.py", plugin_modules(spec))
    text = json.dumps([spec, inputs, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_inputs(
    spec: dict,
    dataset: Path,
    eval_dataset: Path,
    init_weights: Path | None,
    synthetic_dataset: Path | None = None,
) -> dict[str, str | None]:
    """SHA-256 of the content of each input that decides the result; None for those that do not.

    With `selection: holdout` nothing is known of the evaluation data set, not even its hash.
    """
    held_out = spec["recipe"]["selection"] == "holdout"
    return {
        "train": read_json(dataset)["sha256"],
        "evaluation": None if held_out else read_json(eval_dataset)["sha256"],
        "synthetic": None if synthetic_dataset is None else read_json(synthetic_dataset)["sha256"],
        "init": None if init_weights is None else sha256(init_weights),
    }


def run_job(
    spec: dict,
    *,
    dataset: Path,
    eval_dataset: Path,
    init_weights: Path | None,
    work_dir: Path,
    paths: OutputPaths,
    device: Device,
    synthetic_dataset: Path | None = None,
    workers: int = 0,
    save_every: float = 60.0,
    monitoring: dict | None = None,
) -> None:
    """Train what `spec` describes, or the rest of it, and write its results.

    The state is removed once the results are written: a later run of the same job starts anew,
    so that a change in the code is not hidden by an old state.

    Args:
        spec: TRAIN spec.
        dataset: manifest of the training set.
        eval_dataset: manifest of the set that is evaluated on between epochs.
        init_weights: weights to fine-tune, or None.
        work_dir: the state is kept in a folder of this one, named by the job's key.
        paths: results.
        device: where to train.
        synthetic_dataset: manifest of the synthetic images, or None.
        workers: data workers.
        save_every: seconds between two states.
        monitoring: what to show while it runs (see `monitor.DEFAULTS`).

    Raises:
        UserError: for anything that the user can put right.
        Interrupted: after SIGTERM or SIGUSR1; the state is saved.
    """
    inputs = hash_inputs(spec, dataset, eval_dataset, init_weights, synthetic_dataset)
    folder = work_dir / job_key(spec, inputs)
    states = StateFolder(folder)
    with contextlib.ExitStack() as stack:
        if device.is_main:  # the others wait for its state
            stack.enter_context(exclusive_lock(folder / LOCK))
            states.remove_temporary()
        data = open_data(spec, dataset, eval_dataset, synthetic_dataset)
        plan = Plan(spec, data, device, workers)
        trainer = Trainer(plan, states, init_weights, save_every)
        with open_monitor(
            monitoring or {}, spec, folder, plan.total_steps, device.is_main
        ) as trainer.monitor:
            trainer.monitor.start(trainer.run.step, trainer.run.rows)
            run = trainer.train()
        if device.is_main:
            write_outputs(plan, run, paths, inputs, folder)
            states.clear()
