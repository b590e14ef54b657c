"""Loss and accuracy under PGD of few and of many steps (spec A6).

Two questions share the code. Effectiveness: do few steps of 1.5·ε/steps each still find what many
find, at the end of training as at its start? Convergence: with steps of one size, after how many
does the loss stop growing, and does the random start matter?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustvit.attacks.pgd import Ball, default_step_size, input_gradient, perturb
from robustvit.attacks.support.folding import folded
from robustvit.attacks.support.frozen import attack_mode
from robustvit.core.random import fold
from robustvit.evaluation.statistics import proportion


def losses_of(
    model: nn.Module, images: Tensor, labels: Tensor, seeds: Tensor, spec: Mapping
) -> dict[int, tuple[Tensor, Tensor]]:
    """Attack a batch with each number of steps.

    Args:
        model: in evaluation mode.
        images: float32 [B, 3, H, W] in [0, 1].
        labels: int64 [B].
        seeds: int64 [B], one random stream per example; all numbers of steps start alike.
        spec: LOSSES; with `step_for` all steps have the size 1.5·ε/step_for, so that a run of few
            steps is the beginning of one of many, and one run gives all.

    Returns:
        Number of steps to cross-entropy float32 [B] and correctness bool [B].
    """
    threat, steps = spec["threat"], sorted(spec["steps"])
    epsilon, factor = threat["epsilon_255"] / 255, spec["step_factor"]
    settings = {"epsilon": epsilon, "norm": threat["norm"], "seeds": seeds}
    with attack_mode(model, "eval"):
        if spec["step_for"]:
            size = default_step_size(epsilon, spec["step_for"], factor)
            points = along(model, images, labels, step_size=size, record=steps, **settings)
            return {s: _measure(model, point, labels) for s, point in points}
        found = {}
        for count in steps:
            size = default_step_size(epsilon, count, factor)
            point = perturb(model, images, labels, steps=count, step_size=size, **settings)
            found[count] = _measure(model, point, labels)
        return found


def along(
    model: nn.Module, images: Tensor, labels: Tensor, *, epsilon: float, norm: str,
    step_size: float, seeds: Tensor, record: Sequence[int],
) -> Iterator[tuple[int, Tensor]]:  # fmt: skip
    """Yield (steps, images) of one run of PGD after each of `record` steps, in order.

    The points are those that `perturb` returns for these numbers of steps.
    """
    ball = Ball(images.detach(), epsilon, norm)
    current, wanted = ball.start(seeds), set(record)
    for step in range(max(record) + 1):
        if step:
            with attack_mode(model, mode=None), folded(model):
                gradient = input_gradient(model, current, lambda z: _summed(z, labels))
            current = ball.ascend(current, gradient, step_size)
        if step in wanted:
            yield step, current


def _summed(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, reduction="sum")


@torch.no_grad()
def _measure(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = model(images).float()
    return F.cross_entropy(logits, labels, reduction="none"), logits.argmax(dim=1) == labels


def run_seeds(seeds: Tensor, run: int) -> Tensor:
    """Seeds of the examples in the `run`-th repetition."""
    return fold(seeds, 1 + run)


def rows_of(
    found: Mapping[int, Mapping[int, tuple[np.ndarray, np.ndarray]]], index: np.ndarray
) -> pa.Table:
    """One row per repetition, number of steps and image.

    Args:
        found: repetition to number of steps to losses and correctness, each [N].
        index: places of the images in the split, int64 [N].
    """
    parts = []
    for run, by_steps in found.items():
        for steps, (losses, correct) in by_steps.items():
            columns = {
                "index": pa.array(index, pa.int64()),
                "seed": pa.array(np.full(len(index), run), pa.int32()),
                "steps": pa.array(np.full(len(index), steps), pa.int32()),
                "loss": pa.array(losses, pa.float32()),
                "correct": pa.array(correct, pa.bool_()),
            }
            parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def summarise(found: Mapping[int, Mapping[int, tuple[np.ndarray, np.ndarray]]]) -> list[dict]:
    """Per number of steps: mean loss, its spread over repetitions, gap to the most steps, accuracy.

    Returns:
        [{"steps", "loss", "loss_by_seed", "std_over_seeds" (of the mean loss), "image_std" (mean
        over images of the spread of one image's loss), "relative_gap" (|L_most − L| / L_most),
        "top1" (proportion over images, mean over repetitions), "top1_by_seed"}], by steps.
    """
    counts = sorted(next(iter(found.values())))
    losses = {s: np.stack([found[run][s][0] for run in found]).astype(float) for s in counts}
    reference, entries = float(losses[counts[-1]].mean(axis=1).mean()), []
    for steps in counts:
        by_seed = losses[steps].mean(axis=1)
        right = np.array([found[run][steps][1].mean() for run in found])
        images = losses[steps].shape[1]
        spread = len(found) > 1
        entries.append(
            {
                "steps": steps,
                "loss": float(by_seed.mean()),
                "loss_by_seed": by_seed.tolist(),
                "std_over_seeds": float(by_seed.std(ddof=1)) if spread else None,
                "image_std": float(losses[steps].std(axis=0, ddof=1).mean()) if spread else None,
                "relative_gap": _gap(float(by_seed.mean()), reference),
                "top1": proportion(round(right.mean() * images), images),
                "top1_by_seed": right.tolist(),
            }
        )
    return entries


def _gap(loss: float, reference: float) -> float | None:
    return abs(reference - loss) / reference if reference > 0 else None


def chunks(count: int, image_size: int, most_bytes: int = 256 << 20) -> int:
    """Parts that images are read in, so that each takes `most_bytes` of memory at most."""
    return max(1, math.ceil(count * 3 * image_size**2 * 4 / most_bytes))
