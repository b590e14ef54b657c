"""Checks that tell a sound evaluation from a number: before, during and after the attacks.

What cannot be evaluated at all stops with a message. What merely casts doubt on the result is
recorded as {"name", "passed", "detail"} and shown in the report beside the number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from robustvit.attacks.support.outcome import AttackOutcome
from robustvit.core.errors import UserError
from robustvit.evaluation.statistics import binomial_p_value

ROUNDING = {"linf": 1e-6, "l2": 1e-4}
SAME_LOGITS = 1e-4  # AutoAttack's own threshold for a randomised defence
# Another normalisation raises suspicion if it is right on so many more of the images, and on so
# few fewer that chance does not explain it.
CLEAR_GAIN, CHANCE = 0.1, 1e-3
LEFT_AT_LARGE_EPSILON = 1 / 8  # of the images tried, for an attack of few steps


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


def require_finite(
    logits: Tensor,
    where: str,
    why: str = "The training has diverged, or the weights are of another architecture.",
) -> None:
    """Stop if a logit is NaN or infinite.

    Raises:
        UserError: because such an example would count as robust or broken by accident.
    """
    broken = int((~torch.isfinite(logits)).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{where}: the logits of {broken} of {len(logits)} images are not finite. {why}"
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


def check_logits(first: Tensor, second: Tensor, training: int = 0) -> list[dict]:
    """Compare the logits [B, K] of two passes of the same images, and look for probabilities.

    Args:
        training: how many modules are in training mode, as dropout must not be.
    """
    scale = first.norm(dim=1).clamp(min=1e-10)
    change = float(((first - second).norm(dim=1) / scale).max())
    sums_to_one = torch.allclose(first.sum(dim=1), torch.ones(len(first), device=first.device))
    probabilities = bool(first.min() >= 0) and bool(first.max() <= 1) and sums_to_one
    repeated = f"logits of two passes differ by {change:.1e}"
    if training:
        repeated += f"; {training} modules are in training mode"
    kind = "look like probabilities; attacks need logits" if probabilities else "are logits"
    return [
        result("deterministic", change <= SAME_LOGITS and not training, repeated),
        result("logits", not probabilities, f"the outputs {kind}"),
    ]


def check_static(differentiations: int) -> dict:
    """Report whether a model differentiates while it predicts, as a defence at test time may."""
    detail = f"{differentiations} differentiations within a forward pass"
    return result("static", differentiations == 0, detail)


def check_normalization(own: Tensor, others: dict[str, Tensor]) -> dict:
    """Report a normalisation under which a model is right far more often than under its own.

    Args:
        own: bool [B], which images the model is right on.
        others: the same under other normalisations, by what they are called.
    """
    for name, other in others.items():
        gained, lost = int((other & ~own).sum()), int((own & ~other).sum())
        chance = binomial_p_value(gained, gained + lost, 0.5)
        if gained - lost >= CLEAR_GAIN * len(own) and chance < CHANCE:
            right = f"{int(other.sum())} instead of {int(own.sum())} of {len(own)} images are right"
            return result("normalization", False, f"with {name}, {right}")
    return result("normalization", True, f"{int(own.sum())} of {len(own)} images are right")


def check_large_epsilon(standing: int, total: int, epsilon: float) -> dict:
    """Report how many of `total` images withstand an attack to which every image is open."""
    detail = f"{standing} of {total} images withstand ε = {epsilon:g}"
    return result("large epsilon", standing <= LEFT_AT_LARGE_EPSILON * total, detail)


def check_reproducible(stable: bool) -> dict:
    """Report whether an image's logits and gradients are the same in any batch."""
    detail = (
        "depend on the other images of the batch" if not stable else "are the same in any batch"
    )
    return result("reproducible", stable, f"logits and gradients {detail}")


def check_gradients(zero: int, total: int) -> dict:
    """Report how many of `total` clean images have no gradient of the cross-entropy at all."""
    detail = f"{zero} of {total} clean images have a gradient of zero or NaN"
    return result("gradients", zero == 0, detail)


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
