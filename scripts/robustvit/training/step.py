"""One optimiser step."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from robustvit.core.random import fold
from robustvit.core.seeding import derive_seed
from robustvit.data.evaluation_images import as_pixels
from robustvit.models.normalization import inner_model
from robustvit.training.contracts import Batch
from robustvit.training.mixing import mix
from robustvit.training.optimizer import set_learning_rate
from robustvit.training.plan import Plan
from robustvit.training.run import Run

DEPTH = 0x64657074  # keeps the draws of stochastic depth apart from the attack's


def train_step(plan: Plan, run: Run, loaded: tuple[Tensor, Tensor, Tensor]) -> None:
    """Take step `run.step` on this process' share of the global batch: (images, labels, seeds).

    Stochastic depth draws per example. Dropout draws from the global generator, which is seeded
    for every piece of every step, so that a resumed run draws the same.
    """
    context = plan.loss_context(run.parallel, plan.attack_at(run.step))
    set_learning_rate(run.optimizer, plan.learning_rate(run.step))
    pieces = prepare_pieces(plan, run.step, loaded)
    run.statistics.begin_step()
    for slice_index, piece in zip(plan.share.slice_indices, pieces, strict=True):
        plan.device.seed(derive_seed(plan.seed, run.step, slice_index, "dropout"))
        run.depth.begin(fold(piece.seeds, DEPTH))
        with _exchange_gradients(run.parallel, last=piece is pieces[-1]):
            with plan.autocast():
                output = plan.loss.compute(piece, context)
            (output.loss / len(pieces)).backward()
        run.tallies.add(piece, output)
        run.statistics.end_part()
    run.statistics.end_step()
    _update_weights(plan, run)
    plan.device.end_step()
    run.step += 1


def prepare_pieces(plan: Plan, step: int, loaded: tuple[Tensor, Tensor, Tensor]) -> list[Batch]:
    """Cut a share of a batch into pieces, mix each, and move it to the device.

    All pieces of a batch are mixed with the same draw, as the whole batch would be: partners stand
    in the same piece (`sharing`).
    """
    pieces = Batch(*loaded).split(plan.share.pieces, plan.views)
    return [_prepare(plan, step, piece) for piece in pieces]


def _prepare(plan: Plan, step: int, piece: Batch) -> Batch:
    on_host, put = plan.device.mixes_on_host, plan.device.put
    images, targets, seeds = piece.images, piece.targets, piece.seeds
    if not on_host:
        images, targets, seeds = put(images, targets, seeds)
    images = as_pixels(images)
    if plan.mixing is not None:
        images, targets = mix(plan.mixing, images, targets, derive_seed(plan.seed, step, "mix"))
    return Batch(*put(images, targets, seeds)) if on_host else Batch(images, targets, seeds)


def _exchange_gradients(model: nn.Module, last: bool) -> contextlib.AbstractContextManager:
    """Average gradients over processes in the backward pass of the last piece only."""
    no_sync = getattr(model, "no_sync", None)
    return contextlib.nullcontext() if last or no_sync is None else no_sync()


def _update_weights(plan: Plan, run: Run) -> None:
    limit = plan.recipe.get("clip_grad_norm")
    if limit:
        torch.nn.utils.clip_grad_norm_(inner_model(run.model).parameters(), limit)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.average:
        run.average.update(run.model)
