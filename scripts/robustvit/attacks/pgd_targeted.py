"""PGD towards one wrong class after the other, the likeliest first (L∞ and L2).

A targeted attack lowers the cross-entropy of its target. It finds what the untargeted one misses
where that one runs into the nearest class and cannot pass its boundary.
"""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor, nn

from robustvit.attacks import pgd
from robustvit.attacks.support.frozen import attack_mode
from robustvit.attacks.support.options import merged
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.attacks.support.random import fold
from robustvit.core.errors import UserError

DEFAULTS = {"steps": 20, "step_factor": 1.5, "targets": 9, "step_size_255": None}


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: pgd.Norm,
    seeds: Tensor,
    num_classes: int,
    options: dict,
    batch_size: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> dict[str, AttackOutcome]:
    """Evaluate with targeted PGD: each target is tried on what the earlier ones left standing.

    Args:
        options: {"steps": 20, "step_factor": 1.5, "targets": 9}; "step_size_255" fixes the step in
            units of 1/255. With few classes there are fewer targets.
        report: called with the finished fraction.
        checkpoint: not used: a single attack has no finished parts to keep.

    Raises:
        UserError: for fewer than two classes.
    """
    if num_classes < 2:
        raise UserError(f"num_classes: {num_classes}, but a target needs another class")
    settings = merged(options, DEFAULTS)
    steps, targets = settings["steps"], min(settings["targets"], num_classes - 1)
    started, adversarial = time.perf_counter(), images.detach().clone()
    queries = torch.zeros_like(labels)
    attack = partial(
        pgd.perturb, model, epsilon=epsilon, norm=norm, steps=steps,
        step_size=_step_size(epsilon, settings), targeted=True,
    )  # fmt: skip
    with attack_mode(model, "eval"):
        order = _other_classes(model, images, labels, targets, batch_size)
        ran = standing = pgd.still_correct(model, images, labels, batch_size)
        for number in range(targets):
            tell = pgd.Steps(report, number, targets, int(standing.sum()) * steps)
            for chosen in standing.nonzero().flatten().split(batch_size):
                adversarial[chosen] = attack(
                    images[chosen], order[chosen, number], seeds=fold(seeds[chosen], number),
                    after_step=partial(tell.add, len(chosen)),
                )  # fmt: skip
                queries[chosen] += steps if epsilon > 0 else 0
            standing = pgd.still_correct(model, adversarial, labels, batch_size) & ran
            report((number + 1) / targets, f"{int(standing.sum())} of {len(labels)} stand")
    outcome = AttackOutcome(adversarial, ran, time.perf_counter() - started, queries)
    return {f"pgd{steps}-t": outcome}


def _step_size(epsilon: float, settings: dict) -> float:
    fixed = settings["step_size_255"]
    if fixed is not None:
        return fixed / 255
    return pgd.default_step_size(epsilon, settings["steps"], settings["step_factor"])


@torch.no_grad()
def _other_classes(
    model: nn.Module, images: Tensor, labels: Tensor, count: int, batch_size: int
) -> Tensor:
    """The likeliest classes other than the label, int64 [B, count]; equal ones by their number."""
    logits = torch.cat([model(batch).float() for batch in images.split(batch_size)])
    logits = logits.scatter(1, labels[:, None], -torch.inf)
    return logits.sort(dim=1, descending=True, stable=True).indices[:, :count]
