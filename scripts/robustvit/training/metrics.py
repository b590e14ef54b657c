"""The numbers of a training: what a row holds, the metrics file, and the line a user reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.files import write_text

if TYPE_CHECKING:
    from robustvit.training.plan import Plan
    from robustvit.training.tallies import Tallies

COLUMNS = (
    "epoch",  # from 0 on
    "step",  # optimiser steps done at the end of the epoch
    "lr",  # learning rate of the epoch's last step
    "epsilon_255",  # ε of the training attack in the epoch's last step, in 1/255
    "train_loss",
    "train_clean_top1",  # shares in [0, 1]; empty where the loss did not need these logits
    "train_robust_top1",
    "eval_clean_top1",  # shares in [0, 1]; empty in epochs without evaluation
    "eval_robust_top1",
    "images_per_second",  # of the training steps alone
    "seconds",  # wall time of the epoch with its evaluation
    "memory_mb",  # peak memory: of the device for a GPU, of the process otherwise
    "eval_split",  # "test" or "holdout"
    "selected",  # 1 in the row of the epoch whose weights were kept, else 0
)


WATCHED = (  # more columns, if the recipe has a `watch`: accuracies on the same few images
    "watch_weak_top1",  # under the training's own attack
    "watch_strong_top1",  # under PGD of more steps
    "watch_examples",
)


def watched_row(scores: dict[str, float]) -> dict:
    """The columns `WATCHED` of an epoch; nothing if it was not watched."""
    if "strong" not in scores:
        return {}
    return dict(zip(WATCHED, (scores[k] for k in ("weak", "strong", "watched")), strict=True))


def step_row(plan: Plan, step: int, tallies: Tallies) -> dict:
    """Measure a training after `step` steps.

    Args:
        plan: the experiment.
        step: optimiser steps done, at least 1.
        tallies: of the epoch so far, summed over all processes.

    Returns:
        The columns that the metrics file and the steps file share; None where not measured.
    """
    attack = plan.attack_at(step - 1)
    return {
        "epoch": (step - 1) // plan.steps_per_epoch,
        "step": step,
        "lr": plan.learning_rate(step - 1),
        "epsilon_255": attack.epsilon * 255 if attack else 0.0,
        "train_loss": tallies.mean_loss(),
        "train_clean_top1": tallies.accuracy("clean"),
        "train_robust_top1": tallies.accuracy("adversarial"),
        "images_per_second": tallies.examples() / max(tallies.seconds, 1e-9),
        "memory_mb": plan.device.memory_mb(),
    }


def note(row: dict) -> str:
    """Write a row as a user reads it beside the progress of a training.

    For instance "loss 1.234, clean 45.1%, robust 30.2%, ε 4/255, lr 5.0e-04, 312 images/s,
    1.2 GB"; what was not measured is left out.
    """
    parts = [f"loss {row['train_loss']:.3f}"]
    for kind in ("clean", "robust"):
        share = row.get(f"train_{kind}_top1")
        if share is not None:
            parts.append(f"{kind} {share:.1%}")
    if row["epsilon_255"] or row.get("train_robust_top1") is not None:
        parts.append(f"ε {row['epsilon_255']:.3g}/255")
    speed = row["images_per_second"]
    parts += [
        f"lr {row['lr']:.1e}",
        f"{speed:.0f} images/s" if speed >= 10 else f"{speed:.2g} images/s",
        f"{row['memory_mb'] / 1000:.1f} GB",
    ]
    return ", ".join(parts)


def write_metrics(path: str | Path, rows: Sequence[dict], selected: int | None = None) -> None:
    """Write rows as CSV, atomically; a value that was not measured is an empty field.

    Args:
        path: the file.
        rows: one mapping per epoch with (some of) `COLUMNS`.
        selected: the epoch whose weights are kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = COLUMNS + (WATCHED if any(WATCHED[0] in row for row in rows) else ())
    writer.writerow(columns)
    for row in rows:
        row = {**row, "selected": int(row["epoch"] == selected)}
        writer.writerow([format_field(row.get(column)) for column in columns])
    write_text(path, text.getvalue())


def format_field(value: object) -> str:
    """Write a value for a CSV file: six digits, and empty for what was not measured."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.6g}"
    # A reader tells numbers of a kind by the point: an accuracy of 1 stays a float.
    return f"{text}.0" if text.lstrip("-").isdigit() else text
