"""The metrics file: one row per epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from robustvit.core.files import write_text

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


def write_metrics(path: str | Path, rows: Sequence[dict], selected: int | None = None) -> None:
    """Write rows as CSV, atomically; a value that was not measured is an empty field.

    Args:
        path: the file.
        rows: one mapping per epoch with (some of) `COLUMNS`.
        selected: the epoch whose weights are kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        row = {**row, "selected": int(row["epoch"] == selected)}
        writer.writerow([_field(row.get(column)) for column in COLUMNS])
    write_text(path, text.getvalue())


def _field(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.6g}"
    # A reader tells numbers of a kind by the point: an accuracy of 1 stays a float.
    return f"{text}.0" if text.lstrip("-").isdigit() else text
