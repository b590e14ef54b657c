"""The paper's "FGSM": one PGD step of 1.5·ε from a random start, clipped to the ball."""

from __future__ import annotations

from torch import Tensor, nn

from robustvit.attacks import pgd
from robustvit.attacks.support.options import merged
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.core.errors import UserError

DEFAULTS = {"step_factor": 1.5}


def perturb(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    norm: pgd.Norm = "linf",
    steps: int = 1,
    step_size: float | Tensor,
    seeds: Tensor,
    random_start: bool = True,
    targeted: bool = False,
    **options: object,
) -> Tensor:
    """Take the one step, for training: `pgd.perturb` with `steps` = 1.

    Args:
        options: the other ones of `pgd.perturb`.

    Raises:
        UserError: for another number of steps.
    """
    if steps != 1:
        raise UserError(
            f'recipe.attack.steps: "fgsm" takes 1 step, not {steps}; use "pgd" for more'
        )
    return pgd.perturb(
        model, images, labels, epsilon=epsilon, norm=norm, steps=1, step_size=step_size,
        seeds=seeds, random_start=random_start, targeted=targeted, **options,
    )  # fmt: skip


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
    """Evaluate with the single-step attack.

    Args:
        options: {"step_factor": 1.5}; the step is `step_factor`·ε.
    """
    found = pgd.run(
        model, images, labels, epsilon=epsilon, norm=norm, seeds=seeds, num_classes=num_classes,
        options={**merged(options, DEFAULTS), "steps": 1}, batch_size=batch_size, report=report,
    )  # fmt: skip
    return {"fgsm": next(iter(found.values()))}
