"""Everything of a training that does not change while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType

import numpy as np
import torch.nn.functional as F
from timm.data.mixup import Mixup
from torch import Tensor, nn

from robustvit.core import plugins
from robustvit.data.selection import select_examples
from robustvit.training.contracts import AttackSettings, EvaluationContext, LossContext
from robustvit.training.datasets import TrainingData
from robustvit.training.devices import Device
from robustvit.training.loading import EvaluationLoader, Loaded
from robustvit.training.mixing import build_mixing
from robustvit.training.parts import evaluator_name, loss_name, loss_options, watcher_name
from robustvit.training.sampling import BatchSchedule
from robustvit.training.schedules import (
    epsilon_fraction,
    learning_rate,
    schedule_time,
    total_epochs,
)
from robustvit.training.sharing import Share, ShareOfBatches


@dataclass
class Plan:
    """The resolved experiment with its data, plug-ins and device.

    Attributes:
        spec: the TRAIN spec.
        data: opened data sets.
        device: where to train.
        workers: data workers; they change the speed, never the result.
    """

    spec: dict
    data: TrainingData
    device: Device
    workers: int = 0
    recipe: dict = field(init=False)
    loss: ModuleType = field(init=False)
    evaluator: ModuleType = field(init=False)
    watcher: ModuleType | None = field(init=False)
    mixing: Mixup | None = field(init=False)
    share: Share = field(init=False)

    def __post_init__(self) -> None:
        self.recipe = self.spec["recipe"]
        self.loss = plugins.load("robustvit.training.losses", loss_name(self.spec))
        self.evaluator = plugins.load("robustvit.training.evaluators", evaluator_name(self.spec))
        watcher = watcher_name(self.spec)
        self.watcher = watcher and plugins.load("robustvit.training.evaluators", watcher)
        # The head may be larger than the data set has labels (the paper's nano models keep 1,000
        # outputs on ImageNet-100); soft targets have to be as long as the logits.
        self.mixing = build_mixing(self.recipe, self.spec["model"]["num_classes"])
        device = self.device
        self.share = Share(
            self.recipe["batch_size"], self.accumulation, device.rank, device.world_size,
            device.together,
        )  # fmt: skip
        device.check_batch(self.recipe["batch_size"] * self.views // self.accumulation)

    @property
    def seed(self) -> int:
        """Seed of the experiment, from which all randomness is derived."""
        return self.spec["seed"]

    @property
    def accumulation(self) -> int:
        """Parts that a global batch is cut into, each with its own BatchNorm statistics.

        The gradient is that of the whole batch.
        """
        return self.recipe.get("accumulation") or 1

    @cached_property
    def epochs(self) -> int:
        """Epochs in all, with the cool-down."""
        return total_epochs(self.recipe)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return self.schedule_from(0).steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch

    @property
    def views(self) -> int:
        """Views of each image in a batch."""
        return self.recipe["augmentation"].get("views") or 1

    def batches_from(self, step: int) -> ShareOfBatches:
        """This process' share of the batches that are left after `step` steps."""
        return self.share.of(self.schedule_from(step))

    def schedule_from(self, step: int) -> BatchSchedule:
        """The global batches that are left after `step` steps."""
        return BatchSchedule(
            self.data.train_indices, self.recipe["batch_size"], self.epochs, self.seed,
            start=step, repeats=self.recipe["augmentation"].get("repeats") or 1,
            synthetic=self.data.synthetic,
        )  # fmt: skip

    def learning_rate(self, step: int) -> float:
        """Learning rate of step `step`."""
        return learning_rate(self.recipe, schedule_time(self.recipe, step, self.steps_per_epoch))

    def attack_at(self, step: int) -> AttackSettings | None:
        """The training attack of step `step`.

        ε follows its schedule; the step size stays at its final value, as in the released code,
        unless `attack.step_schedule` is "epsilon".
        """
        if self.spec.get("threat") is None:
            return None
        time = schedule_time(self.recipe, step, self.steps_per_epoch)
        return self._attack(epsilon_fraction(self.recipe["attack"], time))

    def _attack(self, fraction: float) -> AttackSettings:
        threat, attack = self.spec["threat"], self.recipe["attack"]
        final = threat["epsilon_255"] / 255
        fixed = attack.get("step_size_255")
        by_rule = attack["step_factor"] * final / max(attack["steps"], 1)
        step_size = by_rule if fixed is None else fixed / 255
        follows = attack.get("step_schedule") == "epsilon"
        return AttackSettings(
            name=attack["name"],
            norm=threat["norm"],
            epsilon=final * fraction,
            step_size=step_size * fraction if follows else step_size,
            steps=attack["steps"],
            random_start=attack.get("random_start", True),
            mode=attack.get("mode") or "eval",
            targeted=bool(attack.get("targeted")),
            num_classes=self.spec["dataset"]["num_classes"],
        )

    def criterion(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with the recipe's label smoothing; soft targets hold it already."""
        smoothing = (self.recipe.get("label_smoothing") or 0.0) if targets.ndim == 1 else 0.0
        return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)

    def loss_context(self, model: nn.Module, attack: AttackSettings | None) -> LossContext:
        """What the loss needs for a step."""
        options = loss_options(self.recipe)
        return LossContext(model, self.criterion, attack, options, self.device.end_step)

    @cached_property
    def evaluation_loader(self) -> EvaluationLoader:
        """Batches of the evaluation between epochs."""
        return self._loader(self.data.evaluation_indices)

    @cached_property
    def watch_loader(self) -> EvaluationLoader:
        """Batches of the images that are watched for catastrophic overfitting."""
        return self._loader(self._watched_indices)

    def _loader(self, indices: Sequence[int]) -> EvaluationLoader:
        mine, batch = indices[self.device.evaluated], self._evaluation_batch
        return EvaluationLoader(self.data.evaluation, mine, batch, self.workers)

    @cached_property
    def _watched_indices(self) -> Sequence[int]:
        """Some of the evaluated images, balanced over classes; the same in every epoch."""
        images, every = self.data.evaluation.images, self.data.evaluation_indices
        count = min(self.recipe["watch"]["num_examples"], len(every))
        key = f"watch/{self.spec['eval_dataset']['name']}"
        chosen = select_examples(images.labels[np.asarray(every, np.int64)], count, key)
        return np.asarray(every)[chosen]

    @property
    def _evaluation_batch(self) -> int:
        processes = 1 if self.device.together else self.device.world_size
        return max(1, self.recipe["batch_size"] // processes)

    def evaluation_context(self, model: nn.Module, check: Callable[[], None]) -> EvaluationContext:
        """What the evaluator needs; the attack has the final ε, and the model is in eval mode.

        In training mode BatchNorm would make an example's result depend on its neighbours.
        """
        attack = None if self.spec.get("threat") is None else self._attack(1.0)
        attack = attack and replace(attack, mode="eval")
        batches = self._checked_batches(check, self.evaluation_loader, self.data.evaluation_indices)
        return self._evaluation(model, batches, attack)

    def watch_context(self, model: nn.Module, check: Callable[[], None]) -> EvaluationContext:
        """What the watcher needs: fewer images, and PGD of more steps by the recipe's rule."""
        weak, steps = replace(self._attack(1.0), mode="eval"), self.recipe["watch"]["steps"]
        size = self.recipe["attack"]["step_factor"] * weak.epsilon / steps
        strong = replace(weak, name="pgd", steps=steps, step_size=size, targeted=False)
        strong = replace(strong, random_start=True)
        batches = self._checked_batches(check, self.watch_loader, self._watched_indices)
        return replace(self._evaluation(model, batches, weak), strong=strong)

    def _evaluation(
        self, model: nn.Module, batches: Iterator[Loaded], attack: AttackSettings | None
    ) -> EvaluationContext:
        device = self.device
        return EvaluationContext(
            model, batches, device.put_whole, attack, self.autocast, device.end_step, device.sum
        )

    def _checked_batches(
        self, check: Callable[[], None], loader: EvaluationLoader, indices: Sequence[int]
    ) -> Iterator[Loaded]:
        """Batches of the evaluation; `check`, which may stop it, runs before each of them.

        It runs equally often in every process, also in one with a batch less, since they agree.
        """
        # No process has more examples than the first.
        step = 1 if self.device.together else self.device.world_size
        most = len(indices[::step])
        batches = iter(loader)
        for _ in range(math.ceil(most / self._evaluation_batch)):
            check()
            batch = next(batches, None)
            if batch is not None:
                yield batch

    def autocast(self) -> object:
        """Context of the forward passes at the recipe's precision."""
        return self.device.autocast(self.recipe.get("precision") or "float32")

    def evaluates(self, epoch: int) -> bool:
        """Whether `epoch` ends with an evaluation; the last one always does."""
        every = self.recipe.get("evaluate_every") or self.epochs
        return (epoch + 1) % every == 0 or epoch + 1 == self.epochs
