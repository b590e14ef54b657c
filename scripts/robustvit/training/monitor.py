"""Numbers while a training runs: to the steps file, TensorBoard, Weights & Biases."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.training.monitoring.steps_file import StepsFile

SINKS = "robustvit.training.monitoring"
SHOWN = ("tensorboard", "wandb")
DEFAULTS = {"every_steps": 50, "tensorboard": False, "wandb": None, "folder": None}


class Sink(Protocol):
    """Where numbers go. A plug-in is a module with `open_sink(settings) -> Sink`."""

    def start(self, step: int, rows: Sequence[dict]) -> None:
        """Get ready to go on after `step`; `rows` are the finished epochs'."""

    def step(self, step: int, row: dict) -> None:
        """Take the row of a step."""

    def epoch(self, row: dict) -> None:
        """Take the row of a finished epoch."""

    def flush(self) -> None:
        """Let go of everything taken so far; a state is written next."""

    def close(self) -> None:
        """The process ends, or the training does."""


@dataclass(frozen=True)
class SinkSettings:
    """What a sink may use.

    Attributes:
        options: the sink's value in the configuration, for instance {"project": "robust"}.
        state_folder: folder of the resumable state: what lies here belongs to this training.
        folder: of the run, for what all its experiments show together; None without one.
        spec: the TRAIN spec.
    """

    options: dict
    state_folder: Path
    folder: Path | None
    spec: dict

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.spec["experiment"]


class Monitor:
    """Passes rows to its sinks; only the main process has any.

    Args:
        sinks: where rows go.
        every_steps: steps between two rows.
        total_steps: of the whole training, for the time that is left.
    """

    def __init__(self, sinks: Sequence[Sink], every_steps: int, total_steps: int) -> None:
        self.sinks, self.every_steps, self.total_steps = list(sinks), every_steps, total_steps
        self._started = (time.monotonic(), 0)

    def start(self, step: int, rows: Sequence[dict]) -> None:
        """Go on after `step` (0 for a new training); what was written after it is taken back."""
        self._started = (time.monotonic(), step)
        for sink in self.sinks:
            sink.start(step, rows)

    def due(self, step: int) -> bool:
        """Whether a row is wanted after `step`; the answer is the same in every process."""
        return step % self.every_steps == 0

    def step(self, step: int, row: dict) -> None:
        """Take a row (see `metrics.step_row`) after `step`."""
        row = {**row, "seconds_left": self._seconds_left(step)}
        for sink in self.sinks:
            sink.step(step, row)

    def epoch(self, row: dict) -> None:
        """Take the row of a finished epoch (see `metrics.COLUMNS`)."""
        for sink in self.sinks:
            sink.epoch(row)

    def flush(self) -> None:
        """Put everything on the disk; call it before a state is written."""
        for sink in self.sinks:
            sink.flush()

    def close(self) -> None:
        """Close all sinks."""
        for sink in self.sinks:
            sink.close()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _seconds_left(self, step: int) -> float | None:
        since, first = self._started
        if step <= first:
            return None
        return (time.monotonic() - since) / (step - first) * (self.total_steps - step)


def open_monitor(
    settings: dict, spec: dict, state_folder: Path, total_steps: int, is_main: bool = True
) -> Monitor:
    """Open the monitor of a training.

    Args:
        settings: the configuration's `monitoring` with `folder`, see `DEFAULTS`.
        spec: the TRAIN spec.
        state_folder: of the resumable state.
        total_steps: of the whole training.
        is_main: False in all but one of the processes that train together: they get no sinks.

    Raises:
        UserError: if a sink's package is not installed.
    """
    settings = DEFAULTS | settings
    if not is_main:
        return Monitor([], settings["every_steps"], total_steps)
    folder = settings["folder"] and Path(settings["folder"])
    sinks: list[Sink] = [StepsFile(state_folder)]
    for name in SHOWN:
        if settings[name]:
            options = settings[name] if isinstance(settings[name], dict) else {}
            module = plugins.load(SINKS, name)
            sinks.append(module.open_sink(SinkSettings(options, state_folder, folder, spec)))
    return Monitor(sinks, settings["every_steps"], total_steps)


def parse_monitoring(text: str) -> dict:
    """Parse the JSON of `--monitoring`.

    Raises:
        argparse.ArgumentTypeError: if it is no JSON object with the known keys.
    """
    try:
        settings = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error
    unknown = set(settings) - set(DEFAULTS) if isinstance(settings, dict) else {"no object"}
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(sorted(unknown))}; expected an object such as "
            '{"every_steps": 50, "tensorboard": true, "folder": "results/demo"}'
        )
    if settings.get("tensorboard") and not settings.get("folder"):
        raise UserError('--monitoring: "tensorboard" needs a "folder", for instance "results/demo"')
    return settings
