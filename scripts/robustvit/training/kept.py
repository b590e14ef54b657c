"""Weights of epochs along a training, for analyses of how it went.

While it runs each is a file beside the resumable state, written before a state that lies behind it,
so that a training that goes on has them or makes them anew, bit for bit. At its end they become one
file, `epochs.safetensors`, with the names `<epoch>/<tensor>`; it is empty if none were kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from robustvit.core.disk import needs_space
from robustvit.core.errors import UserError
from robustvit.models.weights import read_state, save_weights, write_state
from robustvit.training.schedules import kept_epochs

if TYPE_CHECKING:  # they take seconds to import
    from robustvit.training.plan import Plan
    from robustvit.training.run import Run

EPOCHS = "epochs"  # in the header of the file: the epochs that it holds, as a JSON list


def keep_weights(folder: Path, run: Run, epoch: int) -> None:
    """Write the evaluated weights after `epoch` epochs (from 1) beside the state.

    Raises:
        NoSpace: if the disk is full; the resumable state is kept.
    """
    kept = "What was trained so far is kept up to the last state."
    with needs_space(folder, f"the weights of epoch {epoch}", kept):
        save_weights(_place(folder, epoch), run.evaluated_model, {})


def join_kept(folder: Path, plan: Plan, path: Path, metadata: Mapping[str, str]) -> None:
    """Put the weights of all kept epochs into one file.

    Raises:
        UserError: if the weights of an epoch have been removed.
    """
    epochs, tensors = kept_epochs(plan.recipe, plan.epochs), {}
    for epoch in epochs:
        for name, value in read_state(_place(folder, epoch)).items():
            tensors[f"{epoch}/{name}"] = value
    about = {key: value for key, value in metadata.items() if key not in ("epoch", "selection")}
    write_state(path, tensors, {**about, EPOCHS: json.dumps(epochs)})


def take_epoch(path: Path, epoch: int, output: Path) -> None:
    """Write the weights after `epoch` epochs (from 1) out of `epochs.safetensors` as a file.

    Raises:
        UserError: if they were not kept.
    """
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata() or {}
        epochs: Sequence[int] = json.loads(metadata.get(EPOCHS, "[]"))
        if epoch not in epochs:
            known = ", ".join(map(str, epochs)) or "none"
            raise UserError(
                f"{path}: holds no weights of epoch {epoch} (kept: {known}). Name it in the "
                "recipe: keep_epochs: [10, 20, 100]"
            )
        start = f"{epoch}/"
        tensors = {
            name.removeprefix(start): stored.get_tensor(name)
            for name in stored.keys()  # noqa: SIM118
            if name.startswith(start)
        }
    write_state(output, tensors, {**metadata, EPOCHS: json.dumps([epoch]), "epoch": str(epoch - 1)})


def _place(folder: Path, epoch: int) -> Path:
    return folder / f"kept-{epoch:06d}.safetensors"
