"""Weights & Biases, if the configuration asks for it and the package is installed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.core.files import write_text
from robustvit.training.monitoring.tensorboard import EPOCH_TAGS, TAGS

if TYPE_CHECKING:
    from types import ModuleType

    from robustvit.training.monitor import SinkSettings

ID_FILE = "wandb_id"


class Wandb:
    """Log to one W&B run; a training that goes on continues the same run.

    Args:
        module: the package.
        settings: what is trained; options are `project` and `entity`.
    """

    def __init__(self, module: ModuleType, settings: SinkSettings) -> None:
        self.module, self.settings = module, settings
        self._run = None

    def start(self, step: int, rows: Sequence[dict]) -> None:
        """Open the run; W&B itself leaves out steps that it has already."""
        settings, options = self.settings, self.settings.options
        folder = settings.folder or settings.state_folder
        folder.mkdir(parents=True, exist_ok=True)
        self._run = self.module.init(
            project=options["project"],
            entity=options.get("entity"),
            name=settings.experiment,
            id=run_id(settings.state_folder, new=step == 0),
            resume="allow",
            config=settings.spec,
            dir=str(folder),
        )

    def step(self, step: int, row: dict) -> None:
        """Take the row of a step."""
        self._log(step, row, TAGS)

    def epoch(self, row: dict) -> None:
        """Take the row of a finished epoch."""
        self._log(row["step"], row, EPOCH_TAGS)

    def flush(self) -> None:
        """Nothing: W&B sends in the background."""

    def close(self) -> None:
        """Let W&B send the rest."""
        if self._run is not None:
            self._run.finish()

    def _log(self, step: int, row: dict, tags: dict[str, str]) -> None:
        shown = {tag: row[name] for name, tag in tags.items() if row.get(name) is not None}
        self._run.log(shown, step=step)


def run_id(folder: Path, new: bool) -> str:
    """Return the id of the W&B run, kept beside the resumable state; a new training gets a new."""
    path = folder / ID_FILE
    if new or not path.exists():
        write_text(path, secrets.token_hex(8))
    return path.read_text(encoding="utf-8")


def open_sink(settings: SinkSettings) -> Wandb:
    """Open the sink.

    Raises:
        UserError: if the package is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise UserError(
            "monitoring.wandb: the package `wandb` is not in the environment. Install it with "
            "`uv pip install wandb` (or `pip install wandb`) into the environment of the run and "
            "log in once with `wandb login`, or set `monitoring: {wandb: null}`. Without a "
            "network, WANDB_MODE=offline keeps the curves in <run>/wandb for `wandb sync`."
        ) from error
    return Wandb(wandb, settings)
