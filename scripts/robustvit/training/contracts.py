"""The few types that the engine and its losses share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Training examples on the device.

    Attributes:
        images: float32 [B, 3, H, W], pixels in [0, 1].
        targets: int64 [B], or float32 [B, K] after MixUp or CutMix.
        seeds: int64 [B], the stream of each example's attack noise.
    """

    images: Tensor
    targets: Tensor
    seeds: Tensor

    @property
    def labels(self) -> Tensor:
        """The hard labels, int64 [B]: what the attack and the accuracies use."""
        return self.targets.argmax(dim=1) if self.targets.ndim == 2 else self.targets

    def split(self, parts: int, views: int = 1) -> list[Batch]:
        """Cut the batch into `parts` of equal size, in order.

        Args:
            parts: number of parts.
            views: views of each image; all first views stand first, and so they do in each part.
        """
        count = len(self.images) // (parts * views)
        order = torch.arange(len(self.images)).reshape(views, parts, count)
        if parts == 1:
            return [self]
        rows = [order[:, part].flatten().to(self.images.device) for part in range(parts)]
        return [Batch(self.images[r], self.targets[r], self.seeds[r]) for r in rows]


@dataclass(frozen=True)
class AttackSettings:
    """How a loss attacks; lengths in pixel units of [0, 1].

    Attributes:
        name: plug-in of `robustvit.attacks` that has a `perturb`.
        norm: "linf" or "l2".
        epsilon: the radius now, which a schedule may keep below its final value.
        step_size: length of a step; it stays at its final value during the warm-up of ε.
        steps: number of steps.
        random_start: start from a random point of the ball.
        mode: the model's mode during the attack, the same on every device.
        targeted: move each image towards another class than its own, drawn from its seed.
        num_classes: number of labels that targets are drawn from.
    """

    name: str
    norm: Literal["linf", "l2"]
    epsilon: float
    step_size: float
    steps: int
    random_start: bool = True
    mode: Literal["eval", "train"] = "eval"
    targeted: bool = False
    num_classes: int = 0


@dataclass(frozen=True)
class LossContext:
    """What a loss may use.

    Attributes:
        model: maps pixels in [0, 1] to logits; in training mode.
        criterion: training criterion (logits, targets) -> scalar, with the label smoothing.
        attack: None when the experiment has no threat.
        options: the recipe's `loss` section with the loss's own `options` among it, for instance
            {"name": "trades", "beta": 6.0}.
        after_step: called after each attack step, for devices that have to be synchronised.
    """

    model: nn.Module
    criterion: Callable[[Tensor, Tensor], Tensor]
    attack: AttackSettings | None
    options: dict = field(default_factory=dict)
    after_step: Callable[[], None] | None = None


@dataclass(frozen=True)
class LossOutput:
    """Result of a loss.

    Attributes:
        loss: scalar to minimise.
        logits: [B, K] under "clean" and/or "adversarial": those that the loss needed anyway.
    """

    loss: Tensor
    logits: dict[str, Tensor]


@dataclass(frozen=True)
class EvaluationContext:
    """What an evaluator may use.

    Attributes:
        model: the model to evaluate (the average of the weights if the recipe has one).
        batches: (images, labels, seeds) in a fixed order.
        put: moves tensors to the device.
        attack: settings at the final ε, or None without a threat.
        autocast: context of the forward passes.
        after_step: called after each attack step and each batch, for devices that have to be
            synchronised.
        total: sums counts over all processes that evaluate together.
        strong: a stronger attack, if the recipe watches for catastrophic overfitting.
    """

    model: nn.Module
    batches: Iterable[tuple[Tensor, Tensor, Tensor]]
    put: Callable[..., tuple[Tensor, ...]]
    attack: AttackSettings | None
    autocast: Callable[[], AbstractContextManager]
    after_step: Callable[[], None]
    total: Callable[[Tensor], Tensor]
    strong: AttackSettings | None = None
