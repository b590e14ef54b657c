"""The steps file: one row every few steps, while the training runs."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from robustvit.core.disk import needs_space
from robustvit.core.files import write_text
from robustvit.training.metrics import format_field

COLUMNS = (
    "step",  # optimiser steps done
    "epoch",  # of the step, from 0 on
    "lr",  # learning rate of the step
    "epsilon_255",  # ε of the training attack in the step, in 1/255
    "train_loss",  # mean since the start of the epoch, like the two accuracies
    "train_clean_top1",  # shares in [0, 1]; empty where the loss did not need these logits
    "train_robust_top1",
    "images_per_second",  # of the training steps of the epoch so far
    "seconds_left",  # estimate for the rest of the training with its evaluations
    "memory_mb",  # peak memory: of the device for a GPU, of the process otherwise
)
NAME = "steps.csv"
KEPT = "The last good state is kept."


class StepsFile:
    """Append rows to `steps.csv` in the folder of the resumable state, where it can be watched.

    The file is flushed to the disk before each state, and cut back to the state's step when a
    training goes on: no row is lost and none is there twice.

    Args:
        folder: of the resumable state.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / NAME
        self._handle: io.TextIOBase | None = None

    def start(self, step: int, rows: Sequence[dict]) -> None:
        """Drop what was written after `step`, and half a line that a killed process left."""
        _write(self.path, [row for row in read_steps(self.path) if int(row["step"]) <= step])
        self._handle = open(self.path, "a", encoding="utf-8", newline="")  # noqa: SIM115

    def step(self, step: int, row: dict) -> None:
        """Append one row; a reader sees whole lines."""
        line = io.StringIO()
        fields = [format_field(row.get(column)) for column in COLUMNS]
        csv.writer(line, lineterminator="\n").writerow(fields)
        with needs_space(self.path.parent, "the steps file", KEPT):
            self._handle.write(line.getvalue())
            self._handle.flush()

    def epoch(self, row: dict) -> None:
        """Nothing: an epoch's row is in the metrics file."""

    def flush(self) -> None:
        """Put all rows on the disk, for the state that is written next."""
        with needs_space(self.path.parent, "the steps file", KEPT):
            self._handle.flush()
            os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Close the file; it stays for the next start or for the results."""
        # What matters was flushed, or its failure told; a full disk would only be told again.
        with contextlib.suppress(OSError):
            if self._handle is not None:
                self._handle.close()


def read_steps(path: str | Path) -> list[dict[str, str]]:
    """Read the whole rows of a steps file; an absent file has none."""
    path = Path(path)
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    rows = list(csv.DictReader(io.StringIO(whole)))
    return [row for row in rows if tuple(row) == COLUMNS and (row["step"] or "").isdigit()]


def copy_steps(source: str | Path, target: str | Path) -> None:
    """Write the rows of `source` to `target`, atomically; an absent file has none."""
    _write(target, read_steps(source))


def _write(path: str | Path, rows: Sequence[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
