"""Everything of a training that changes while it runs, and its way to the disk and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from robustvit.core.errors import UserError
from robustvit.core.seeding import derive_seed
from robustvit.models.factory import build_model
from robustvit.models.layers.drop_path import StochasticDepth, install_stochastic_depth
from robustvit.models.layout import prepare_model
from robustvit.models.normalization import inner_model
from robustvit.models.weights import load_for_finetuning
from robustvit.training.batch_statistics import PartStatistics, part_statistics
from robustvit.training.devices import Device
from robustvit.training.ema import AveragedModel
from robustvit.training.optimizer import build_optimizer
from robustvit.training.sharing import Share
from robustvit.training.tallies import Tallies


@dataclass
class Run:
    """State of a training between two steps.

    Attributes:
        model: the model in training.
        parallel: the same model, wrapped so that a backward pass gives the gradients of the
            global batch; only the training forward passes go through it.
        optimizer: over its parameters.
        average: moving average of its weights, if the recipe has one.
        statistics: BatchNorm's, where a batch is computed in several parts.
        depth: draws for stochastic depth.
        step: optimiser steps done.
        rows: metrics of the finished epochs.
        tallies: running sums of the epoch in progress.
        best: {"score", "epoch", "weights"} of the best epoch, with a selection by accuracy.
    """

    model: nn.Module
    parallel: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    statistics: PartStatistics
    depth: StochasticDepth
    step: int = 0
    rows: list[dict] = field(default_factory=list)
    tallies: Tallies = field(default_factory=Tallies)
    best: dict | None = None

    @property
    def evaluated_model(self) -> nn.Module:
        """The model that is evaluated and saved: the average if there is one."""
        return self.average.model if self.average else self.model

    def state(self, tallies: Tallies) -> dict:
        """Everything that has to be kept, as tensors and plain values.

        Args:
            tallies: those of all processes together.
        """
        return {
            "model": inner_model(self.model).state_dict(),
            "average": inner_model(self.average.model).state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "rows": self.rows,
            "tallies": tallies.state(),
            "best": self.best,
        }

    def restore(self, state: dict, device: Device) -> None:
        """Go on from `state`."""
        inner_model(self.model).load_state_dict(state["model"])
        if self.average:
            inner_model(self.average.model).load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.rows, self.best = state["step"], state["rows"], state["best"]
        # The sums of all processes, which will be added up again unless one program holds them all.
        share = 1.0 if device.is_main or device.together else 0.0
        self.tallies = Tallies.from_state(state["tallies"], device.device, share)

    def keep_if_best(self, score: float, epoch: int) -> None:
        """Keep a copy of the weights if `score` is higher than at every earlier evaluation."""
        if self.best is None or score > self.best["score"]:
            weights = inner_model(self.evaluated_model).state_dict()
            copies = {name: value.detach().cpu().clone() for name, value in weights.items()}
            self.best = {"score": score, "epoch": epoch, "weights": copies}


def start_run(spec: dict, device: Device, share: Share, init_weights: Path | None) -> Run:
    """Build model and optimiser at step 0.

    The initial weights depend on the seed only. With `init` the weights of another experiment or
    checkpoint are loaded over them (`load_for_finetuning`).

    Raises:
        UserError: if `init` is set without a file, or the file does not fit.
    """
    if (spec.get("init") is None) != (init_weights is None):
        raise UserError(
            "`init` in --spec and --init-weights belong together: give both or none of them"
        )
    drop_path = spec["recipe"].get("drop_path")
    model_spec = spec["model"] if drop_path is None else {**spec["model"], "drop_path": drop_path}
    model = build_model(model_spec, seed=derive_seed(spec["seed"], "init"))
    if init_weights is not None:
        load_for_finetuning(model, init_weights)
    model.to(device.device).train()
    decay = spec["recipe"].get("ema_decay")
    average = AveragedModel(model, decay) if decay else None
    if average is not None:
        average.model = device.spread(average.model, share.sharing)
    model = device.spread(model, share.sharing)
    recipe = spec["recipe"]
    model = prepare_model(model, recipe.get("channels_last"), recipe.get("compile"))
    depth = install_stochastic_depth(model)
    optimizer = build_optimizer(model, spec["recipe"]["optimizer"])
    statistics = part_statistics(model, share, device.sum)
    return Run(model, device.parallel(model), optimizer, average, statistics, depth)
