"""Checks that tell a sound evaluation from a number: before, during and after the attacks.

What cannot be evaluated at all stops with a message. What merely casts doubt on the result is
recorded as {"name", "passed", "detail"} and shown in the report beside the number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustvit.attacks.support.outcome import AttackOutcome
from robustvit.core.errors import UserError

ROUNDING = {"linf": 1e-6, "l2": 1e-4}
SAME_LOGITS = 1e-4  # AutoAttack's own threshold for a randomised defence


def result(name: str, passed: bool, detail: str) -> dict:
    """Describe the outcome of one check."""
    return {"name": name, "passed": bool(passed), "detail": detail}


def require_pixels(images: Tensor, where: str) -> None:
    """Stop unless all pixels are in [0, 1].

    Raises:
        UserError: because ε would mean something else.
    """
    low, high = float(images.min()), float(images.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UserError(
            f"{where}: pixels from {low:.3g} to {high:.3g}, expected [0, 1]. Normalisation belongs "
            'into the model: `normalization: {"mean": [...], "std": [...]}` of its experiment.'
        )


def require_finite(logits: Tensor, where: str) -> None:
    """Stop if a logit is NaN or infinite.

    Raises:
        UserError: because such an example would count as robust or broken by accident.
    """
    broken = int((~torch.isfinite(logits)).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{where}: the logits of {broken} of {len(logits)} images are not finite. "
            "The training has diverged, or the weights are of another architecture."
        )


def require_labels(labels: Tensor, num_classes: int, where: str) -> None:
    """Stop unless every label is a class of the model.

    Raises:
        UserError: if one is not in [0, num_classes).
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise UserError(
            f"{where}: labels from {low} to {high}, but the model has {num_classes} classes "
            f"(0 to {num_classes - 1}). Evaluate it on the data set it was trained for."
        )


def check_logits(first: Tensor, second: Tensor) -> list[dict]:
    """Compare the logits [B, K] of two passes of the same images, and look for probabilities."""
    scale = first.norm(dim=1).clamp(min=1e-10)
    change = float(((first - second).norm(dim=1) / scale).max())
    sums_to_one = torch.allclose(first.sum(dim=1), torch.ones(len(first), device=first.device))
    probabilities = bool(first.min() >= 0) and bool(first.max() <= 1) and sums_to_one
    return [
        result(
            "deterministic", change <= SAME_LOGITS, f"logits of two passes differ by {change:.1e}"
        ),
        result(
            "logits",
            not probabilities,
            "the outputs look like probabilities; attacks need logits"
            if probabilities
            else "the outputs are not probabilities",
        ),
    ]


def check_gradients(zero: int, total: int) -> dict:
    """Report how many of `total` clean images have no gradient of the cross-entropy at all."""
    return result("gradients", zero == 0, f"{zero} of {total} clean images have no gradient")


def check_ball(
    name: str, images: Tensor, outcome: AttackOutcome, epsilon: float, norm: str
) -> dict:
    """Check that adversarial images are in [0, 1] and, to rounding, in the ball."""
    delta = (outcome.adversarial - images).flatten(1)
    size = delta.abs().amax(dim=1) if norm == "linf" else delta.norm(dim=1)
    farthest = float(size.max())
    inside = bool(outcome.adversarial.min() >= 0) and bool(outcome.adversarial.max() <= 1)
    within = farthest <= epsilon + ROUNDING[norm]
    detail = f"largest {norm} perturbation {farthest:.6f}, ε = {epsilon:.6f}"
    return result(f"ball ({name})", inside and within, detail)
