"""One optimiser step."""

from __future__ import annotations

import torch
from torch import Tensor

from robustvit.core.seeding import derive_seed
from robustvit.models.normalization import inner_model
from robustvit.training.contracts import Batch
from robustvit.training.mixing import mix
from robustvit.training.optimizer import set_learning_rate
from robustvit.training.plan import Plan
from robustvit.training.run import Run


def train_step(plan: Plan, run: Run, loaded: tuple[Tensor, Tensor, Tensor]) -> None:
    """Take step `run.step` on a loaded global batch: (images, labels, seeds).

    Stochastic depth and dropout draw from the global generator, which is seeded for every part of
    every step, so that a resumed run draws the same.
    """
    batch = prepare_batch(plan, run.step, loaded)
    context = plan.loss_context(run.model, plan.attack_at(run.step))
    set_learning_rate(run.optimizer, plan.learning_rate(run.step))
    for part, piece in enumerate(batch.split(plan.accumulation)):
        torch.manual_seed(derive_seed(plan.seed, run.step, part, "dropout"))
        with plan.autocast():
            output = plan.loss.compute(piece, context)
        (output.loss / plan.accumulation).backward()
        run.tallies.add(piece, output)
    _update_weights(plan, run)
    plan.device.end_step()
    run.step += 1


def prepare_batch(plan: Plan, step: int, loaded: tuple[Tensor, Tensor, Tensor]) -> Batch:
    """Move a batch to the device and mix it."""
    images, targets, seeds = plan.device.put(*loaded)
    if plan.mixing is not None:
        images, targets = mix(plan.mixing, images, targets, derive_seed(plan.seed, step, "mix"))
    return Batch(images, targets, seeds)


def _update_weights(plan: Plan, run: Run) -> None:
    limit = plan.recipe.get("clip_grad_norm")
    if limit:
        torch.nn.utils.clip_grad_norm_(inner_model(run.model).parameters(), limit)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.average:
        run.average.update(run.model)
