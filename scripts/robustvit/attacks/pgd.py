"""Projected gradient descent (Madry et al. 2018) exactly as the paper's released code does it.

Pixels in [0, 1]; start uniform in the ball plus the constant 1e-5, projected; steps along the
sign of the gradient of the summed loss (L∞) or along its direction (L2); projection onto the ball
and then onto [0, 1] after every step. With one step of 1.5·ε this is the paper's "FGSM".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustvit.attacks._forward import forward
from robustvit.attacks.support.folding import folded
from robustvit.attacks.support.frozen import attack_mode
from robustvit.attacks.support.options import merged
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.core.errors import UserError, unknown_name
from robustvit.core.random import fold, normal, uniform

Norm = Literal["linf", "l2"]
START_OFFSET = 1e-5
DEFAULTS = {"steps": 10, "step_factor": 1.5, "restarts": 1, "step_size_255": None}


@dataclass(frozen=True)
class Ball:
    """All images in [0, 1] within `epsilon` of `center` (float32 [B, C, H, W])."""

    center: Tensor
    epsilon: float | Tensor
    norm: Norm

    def start(self, seeds: Tensor) -> Tensor:
        """Draw one point per example of the ball from the example's own stream."""
        shape = self.center.shape[1:]
        if self.norm == "linf":
            noise = uniform(seeds, shape, self.center.device).mul_(2.0).sub_(1.0).mul_(self.epsilon)
            return self.project(noise.add_(START_OFFSET).add_(self.center))
        # The released L2 start has mean -ε in every component, an oversight that no published
        # number depends on; a random direction at a random radius is used instead.
        radius = uniform(fold(seeds, 1), (1,) * len(shape), self.center.device) * self.epsilon
        return self.project(self.center + _unit(normal(seeds, shape, self.center.device)) * radius)

    def project(self, images: Tensor) -> Tensor:
        """Return the nearest point of the ball, then of [0, 1] (which stays in the ball)."""
        if self.norm == "linf":
            return torch.clamp(images, *self._bounds)
        delta = images - self.center
        shrink = (self.epsilon / _length(delta).clamp(min=1e-12)).clamp(max=1.0)
        return (self.center + delta * shrink).clamp(0.0, 1.0)

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest pixels of the L∞ ball within [0, 1]."""
        lower = (self.center - self.epsilon).clamp_(min=0.0)
        return lower, (self.center + self.epsilon).clamp_(max=1.0)

    def ascend(self, images: Tensor, gradient: Tensor, step: float | Tensor) -> Tensor:
        """Take one step of length `step` (in the norm) along `gradient`, and project."""
        direction = gradient.sign() if self.norm == "linf" else _unit(gradient)
        # The sum takes over the layout of its first term: a gradient's may be another one, and a
        # compiled model would be compiled again for images in it.
        return self.project(images + direction.mul_(step))


def _length(delta: Tensor) -> Tensor:
    length = delta.flatten(1).norm(dim=1)
    return length.reshape(-1, *(1 for _ in delta.shape[1:]))


def _unit(delta: Tensor) -> Tensor:
    return delta / _length(delta).clamp(min=1e-12)


def perturb(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float | Tensor,
    norm: Norm = "linf",
    steps: int,
    step_size: float | Tensor,
    seeds: Tensor,
    random_start: bool = True,
    targeted: bool = False,
    loss: Literal["ce", "kl"] = "ce",
    reference: Tensor | None = None,
    after_step: Callable[[], None] | None = None,
) -> Tensor:
    """Search the ball around each image for the point of highest loss.

    The model keeps the mode that it is in (wrap the call in `attack_mode` to choose one); its
    buffers, gradients, `requires_grad` flags and the global random state are left untouched.

    Args:
        model: maps pixels in [0, 1] to logits [B, K].
        images: float32 [B, C, H, W] in [0, 1].
        labels: int64 [B]; the targets if `targeted`. Soft labels [B, K] count as their argmax.
        epsilon: radius of the ball in pixel units of [0, 1]; 0 returns the images.
        norm: "linf" or "l2".
        steps: number of gradient steps; 0 returns the start.
        step_size: length of a step in pixel units; the paper's rule is `default_step_size`.
        seeds: int64 [B], one random stream per example.
        random_start: start from a random point of the ball instead of from the image.
        targeted: minimise the loss of `labels` instead of maximising it.
        loss: "ce" (negative log-likelihood of the hard label, summed over the batch) or "kl"
            (KL(reference ‖ softmax f(x')), summed: TRADES, Zhang et al. 2019).
        reference: the clean probabilities [B, K] for "kl".
        after_step: called after every step, for devices that have to be synchronised.

    Returns:
        float32 [B, C, H, W] in [0, 1], detached.

    Raises:
        UserError: for an unknown norm or loss, or "kl" without `reference`.
    """
    if norm not in ("linf", "l2"):
        raise unknown_name("norm", norm, ("linf", "l2"), "threat.norm")
    clean = images.detach()
    if len(clean) == 0 or (not isinstance(epsilon, Tensor) and epsilon == 0):
        return clean.clone()
    ball = Ball(clean, epsilon, norm)
    measure = _loss_function(loss, labels, reference)
    step = -step_size if targeted else step_size
    with attack_mode(model, mode=None), folded(model):
        current = ball.start(seeds) if random_start else clean.clone()
        for _ in range(steps):
            gradient = input_gradient(model, current, measure)
            current = ball.ascend(current, gradient, step)
            if after_step is not None:
                after_step()
    return current


def default_step_size(epsilon: float, steps: int, step_factor: float = 1.5) -> float:
    """Return the paper's step, `step_factor · ε / steps` (the released code's rule at its HEAD)."""
    return step_factor * epsilon / max(steps, 1)


def input_gradient(model: nn.Module, images: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
    """Return d measure(model(images)) / d images, [B, C, H, W]."""
    with torch.enable_grad():
        point = images.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(measure(forward(model, point)), point)
    return gradient.detach()


def count_zero_gradients(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> int:
    """Count images [B, 3, H, W] without a gradient of the cross-entropy: zero everywhere, or NaN.

    Gradient-based attacks cannot start there: a sign of masked gradients.
    """
    zero = 0
    with attack_mode(model, "eval"):
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            gradient = input_gradient(model, x, _loss_function("ce", y, None))
            size = gradient.flatten(1).abs().amax(dim=1)
            zero += int(((size == 0) | ~size.isfinite()).sum())
    return zero


def _loss_function(
    name: str, labels: Tensor, reference: Tensor | None
) -> Callable[[Tensor], Tensor]:
    if name == "ce":
        hard = labels.argmax(dim=1) if labels.ndim == 2 else labels
        return lambda logits: F.cross_entropy(logits.float(), hard, reduction="sum")
    if name != "kl":
        raise unknown_name("attack loss", name, ("ce", "kl"))
    if reference is None:
        raise UserError('attack loss "kl" needs the clean probabilities as `reference`')
    clean = reference.detach()
    return lambda logits: F.kl_div(
        F.log_softmax(logits.float(), dim=1), clean.float(), reduction="sum"
    )


def outcome_name(options: dict) -> str:
    """Name the attack in rows and reports: `pgd10`, or `pgd10x5` with five restarts."""
    settings = merged(options, DEFAULTS)
    restarts = f"x{settings['restarts']}" if settings["restarts"] > 1 else ""
    return f"pgd{settings['steps']}{restarts}"


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: Norm,
    seeds: Tensor,
    num_classes: int,
    options: dict,
    batch_size: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> dict[str, AttackOutcome]:
    """Evaluate with PGD: each restart attacks the examples that are still classified correctly.

    Args:
        options: {"steps": 10, "step_factor": 1.5, "restarts": 1}; "step_size_255" fixes the step
            in units of 1/255 instead of the paper's rule.
        report: called with the finished fraction.
        checkpoint: not used: a single attack has no finished parts to keep.
    """
    settings = merged(options, DEFAULTS)
    fixed = settings["step_size_255"]
    steps, restarts = settings["steps"], settings["restarts"]
    step = (
        default_step_size(epsilon, steps, settings["step_factor"]) if fixed is None else fixed / 255
    )
    started = time.perf_counter()
    adversarial, queries = images.detach().clone(), torch.zeros_like(labels)
    with attack_mode(model, "eval"):
        ran = standing = still_correct(model, images, labels, batch_size)
        for restart in range(restarts):
            tell = Steps(report, restart, restarts, int(standing.sum()) * steps)
            for chosen in standing.nonzero().flatten().split(batch_size):
                adversarial[chosen] = perturb(
                    model, images[chosen], labels[chosen], epsilon=epsilon, norm=norm,
                    steps=steps, step_size=step, seeds=fold(seeds[chosen], restart),
                    after_step=partial(tell.add, len(chosen)),
                )  # fmt: skip
                queries[chosen] += steps if epsilon > 0 else 0
            standing = still_correct(model, adversarial, labels, batch_size) & ran
            report((restart + 1) / restarts, f"{int(standing.sum())} of {len(labels)} stand")
    seconds = time.perf_counter() - started
    return {outcome_name(options): AttackOutcome(adversarial, ran, seconds, queries)}


class Steps:
    """Reports progress within one of several restarts.

    Args:
        report: gets the finished fraction.
        restart, restarts: which one of how many.
        total: steps of all images.
    """

    def __init__(self, report: Report, restart: int, restarts: int, total: int) -> None:
        self._report, self._restart, self._restarts = report, restart, restarts
        self._total, self._done = max(total, 1), 0

    def add(self, images: int) -> None:
        """Note one step of so many images."""
        self._done += images
        fraction = (self._restart + self._done / self._total) / self._restarts
        self._report(fraction, f"try {self._restart + 1} of {self._restarts}")


@torch.no_grad()
def still_correct(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> Tensor:
    """Return which images the model classifies as their label, bool [B]."""
    pairs = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    return torch.cat([model(x).argmax(dim=1) == y for x, y in pairs])
