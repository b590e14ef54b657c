"""The files that a finished training leaves: weights, metrics, configuration, model card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from robustvit.core import files, provenance
from robustvit.core.disk import needs_space
from robustvit.models.normalization import inner_model
from robustvit.models.weights import save_weights
from robustvit.training.card import model_card
from robustvit.training.kept import join_kept
from robustvit.training.metrics import write_metrics
from robustvit.training.monitoring.steps_file import NAME, copy_steps
from robustvit.training.plan import Plan
from robustvit.training.run import Run


@dataclass(frozen=True)
class OutputPaths:
    """Where the results go."""

    weights: Path
    metrics: Path
    config: Path
    card: Path
    steps: Path
    epochs: Path  # weights along the training


def write_outputs(
    plan: Plan, run: Run, paths: OutputPaths, inputs: dict[str, str | None], state_folder: Path
) -> None:
    """Write all results of a finished run; the weights come last, as the sign of completeness.

    Args:
        plan: the experiment.
        run: after its last step.
        paths: the files to write.
        inputs: SHA-256 by input, for instance {"train": …, "evaluation": …, "init": …}.
        state_folder: where the steps file was written.

    Raises:
        NoSpace: if the disk is full; the resumable state is kept.
    """
    epoch = select_epoch(plan, run)
    record = describe(plan, run, epoch, inputs)
    kept = "The training itself is done and kept: only this step is repeated."
    with needs_space(paths.weights.parent, "the results", kept):
        write_metrics(paths.metrics, run.rows, selected=epoch)
        copy_steps(state_folder / NAME, paths.steps)
        files.write_yaml(paths.config, record)
        files.write_text(paths.card, model_card(record, run.rows[epoch]))
        metadata = weights_metadata(plan, epoch)
        join_kept(state_folder, plan, paths.epochs, metadata)
        save_weights(paths.weights, run.evaluated_model, metadata)


def select_epoch(plan: Plan, run: Run) -> int:
    """Put the selected weights into the evaluated model and return their epoch."""
    if plan.recipe["selection"] == "last" or run.best is None:
        return plan.epochs - 1
    inner_model(run.evaluated_model).load_state_dict(run.best["weights"])
    return run.best["epoch"]


def weights_metadata(plan: Plan, epoch: int) -> dict[str, str]:
    """Strings for the header of the weights file: a function of the spec, never of the time."""
    spec = plan.spec
    return {
        "format": "pt",
        "experiment": spec["experiment"],
        "model": json.dumps(spec["model"], sort_keys=True),
        "classes": json.dumps(list(plan.data.train.images.classes)),
        "dataset": spec["dataset"]["name"],
        "threat": json.dumps(spec.get("threat"), sort_keys=True),
        "selection": spec["recipe"]["selection"],
        "epoch": str(epoch),
    }


def describe(plan: Plan, run: Run, epoch: int, inputs: dict[str, str | None]) -> dict:
    """Everything that was trained and how, as plain values for `config.yaml`."""
    seconds = sum(row["seconds"] for row in run.rows)
    network = inner_model(run.model)
    return {
        **plan.spec,
        "trained": {
            "epochs": plan.epochs,
            "steps": run.step,
            "steps_per_epoch": plan.steps_per_epoch,
            "train_examples": len(plan.data.train_indices),
            "synthetic_examples": plan.data.synthetic.examples if plan.data.synthetic else 0,
            "eval_examples": len(plan.data.evaluation_indices),
            "eval_split": plan.data.evaluation_split,
            "parameters": sum(p.numel() for p in network.parameters()),
            "selected_epoch": epoch,
            "selected_by": plan.recipe["selection"],
            "weights_averaged": run.average is not None,
        },
        "inputs": inputs,
        "provenance": {
            **provenance.collect(seed=plan.seed, device=plan.device.name, seconds=seconds),
            "processes": plan.device.world_size,  # each had a device of its own
        },
    }
