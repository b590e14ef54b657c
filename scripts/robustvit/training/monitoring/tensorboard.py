"""TensorBoard: event files in `<run>/tensorboard/<experiment>/`.

The records are written with TensorBoard's own format and no more of it, so that nothing imports
torch's writer (slow) or TensorFlow (which must not meet torch_xla in one process).
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.training.monitoring.steps_file import NAME, read_steps

if TYPE_CHECKING:
    from robustvit.training.monitor import SinkSettings

TAGS = {
    "train_loss": "train/loss",
    "train_clean_top1": "train/clean_top1",
    "train_robust_top1": "train/robust_top1",
    "lr": "schedule/lr",
    "epsilon_255": "schedule/epsilon_255",
    "images_per_second": "speed/images_per_second",
    "memory_mb": "speed/memory_mb",
}
EPOCH_TAGS = {
    "eval_clean_top1": "eval/clean_top1",
    "eval_robust_top1": "eval/robust_top1",
    "seconds": "speed/seconds_per_epoch",
}


class EventFile:
    """Write the curves of one experiment.

    A training that goes on opens a further file whose first record takes back what earlier files
    say about later steps (what torch's writer calls `purge_step`): the curves go on without a gap
    and without a point twice.

    Args:
        settings: what is trained, and where to write.
    """

    def __init__(self, settings: SinkSettings) -> None:
        self.folder = settings.folder / "tensorboard" / settings.experiment
        self.steps_file = settings.state_folder / NAME
        self._writer = None
        self._dead = False

    def start(self, step: int, rows: Sequence[dict]) -> None:
        """Open a file that goes on after `step`."""
        self._guard(self._open, step, rows)

    def step(self, step: int, row: dict) -> None:
        """Take the row of a step."""
        self._guard(self._scalars, step, row, TAGS)

    def epoch(self, row: dict) -> None:
        """Take the row of a finished epoch."""
        self._guard(self._scalars, row["step"], row, EPOCH_TAGS)

    def flush(self) -> None:
        """Show everything that was taken so far."""
        self._guard(lambda: self._writer.flush())

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._guard(lambda: self._writer.close())

    def _open(self, step: int, rows: Sequence[dict]) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns():020d}.{socket.gethostname()}.{os.getpid()}"
        self._writer = RecordWriter(open(self.folder / name, "xb"))  # noqa: SIM115
        # A state saved before its epoch's evaluation: the epoch's row at this very step may have
        # been shown, and comes again.
        done = rows[-1]["step"] if rows else 0
        start = step if step > done else step + 1
        self._write(0, file_version="brain.Event:2")
        self._write(start, session_log=SessionLog(status=SessionLog.START))
        for row in [row for row in read_steps(self.steps_file) if int(row["step"]) >= start]:
            self._scalars(step, {name: float(row[name]) for name in TAGS if row[name]}, TAGS)

    def _scalars(self, step: int, row: dict, tags: dict[str, str]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        shown = {tag: row[name] for name, tag in tags.items() if row.get(name) is not None}
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in shown.items()]
        self._write(step, summary=Summary(value=values))
        self._writer.flush()

    def _write(self, step: int, **content: object) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.write(Event(wall_time=time.time(), step=step, **content).SerializeToString())

    def _guard(self, action: object, *arguments: object) -> None:
        # Curves are never worth a failed training: if they cannot be written, it goes on without.
        if self._dead:
            return
        try:
            action(*arguments)
        except OSError as error:
            self._dead = True
            print(f"warning: no more TensorBoard curves: {error}", file=sys.stderr)


def open_sink(settings: SinkSettings) -> EventFile:
    """Open the sink.

    Raises:
        UserError: if TensorBoard is not installed, or there is no folder for its files.
    """
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise UserError(
            "monitoring.tensorboard: the package `tensorboard` cannot be imported "
            f"({error}); install it or set `monitoring: {{tensorboard: false}}`"
        ) from error
    if settings.folder is None:
        raise UserError("monitoring: TensorBoard's curves need a folder, such as results/demo")
    return EventFile(settings)
