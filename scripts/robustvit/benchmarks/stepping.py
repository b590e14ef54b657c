"""A model with its optimiser and one kind of training step, ready to be timed."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from robustvit.benchmarks.cases import Case, Variant
from robustvit.benchmarks.released import released_loss
from robustvit.core import plugins
from robustvit.models.factory import build_model, build_network
from robustvit.models.layers.drop_path import install_stochastic_depth
from robustvit.models.layout import prepare_model
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.devices import Device
from robustvit.training.optimizer import build_optimizer

OPTIMIZER = {"name": "adamw", "lr": 5e-4, "weight_decay": 0.5, "betas": [0.9, 0.999], "eps": 1e-8}
EPSILON = 4 / 255


class Stepper:
    """Takes training steps on one batch of random images.

    Args:
        case: the model and the batch.
        variant: the kind of step.
        device: where.
        attack_steps: other than the variant's, for what does not depend on their number.
    """

    def __init__(
        self, case: Case, variant: Variant, device: Device, attack_steps: int | None = None
    ) -> None:
        self.variant, self.device = variant, device
        self.batch = _batch(case, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            build = build_network if variant.released else build_model
            model = build(case.model).to(device.device).train()
        self.model = prepare_model(model, **variant.layout)
        self.depth = None if variant.released else install_stochastic_depth(self.model)
        self.optimizer = build_optimizer(self.model, OPTIMIZER)
        steps = min(attack_steps or variant.attack_steps, variant.attack_steps)
        self.attack = (
            AttackSettings("pgd", "linf", EPSILON, 1.5 * EPSILON / steps, steps) if steps else None
        )
        self.loss = plugins.load("robustvit.training.losses", variant.loss)

    def __call__(self) -> None:
        """Take one step, to the end."""
        with self.device.autocast(self.variant.precision):
            loss, logits = self._released() if self.variant.released else self._ours()
        loss.backward()
        del logits  # held until here, for a log
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.wait()

    def warm_up(self) -> None:
        """Take a step that needs as much memory as the others, with no more than two attack steps.

        Memory that has to be got from the kernel costs as much time as a tenth of the step.
        """
        attack = self.attack
        if attack is not None:
            self.attack = replace(attack, steps=min(attack.steps, 2))
        self()
        self.attack = attack

    def wait(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.is_cuda:
            torch.cuda.synchronize(self.device.device)

    def _ours(self) -> tuple[Tensor, object]:
        options = {"name": self.variant.loss, "beta": 6.0}
        context = LossContext(self.model, F.cross_entropy, self.attack, options)
        self.depth.begin(self.batch.seeds)
        output = self.loss.compute(self.batch, context)
        return output.loss, output.logits

    def _released(self) -> tuple[Tensor, object]:
        variant = self.variant
        return released_loss(
            variant.loss, self.model, self.batch, self.attack, variant.weight_gradients
        )


def _batch(case: Case, device: Device) -> Batch:
    size, count = case.model["image_size"], case.batch_size
    random = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, size, size, generator=random)
    labels = torch.arange(count) % case.model["num_classes"]
    return Batch(*device.put(images, labels, torch.arange(count)))
