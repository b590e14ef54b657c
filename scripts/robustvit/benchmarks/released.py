"""The training steps of the paper's released code, written anew from a description of them.

They serve as a yardstick for time and memory only. What they do differently: the clean images are
forwarded in every adversarial step, for a log; the parameters are not frozen during an attack; the
clean probabilities of TRADES keep their graph; noise comes from the global generator.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustvit.training.contracts import AttackSettings, Batch

OFFSET = 1e-5  # added to the random start


def released_loss(
    name: str,
    model: nn.Module,
    batch: Batch,
    attack: AttackSettings | None,
    weight_gradients: bool = False,
    beta: float = 6.0,
) -> tuple[Tensor, list[Tensor]]:
    """Compute the loss of a step.

    Args:
        name: "clean", "adversarial" or "trades".
        model: in training mode; it is again afterwards.
        batch: labels are hard.
        attack: None for "clean".
        weight_gradients: the attack's backward pass goes to the weights as well, as it does with
            `loss.backward()`.
        beta: of TRADES.

    Returns:
        The scalar loss, and the logits that the released step keeps for its log.
    """
    if name == "clean":
        logits = model(batch.images)
        return F.cross_entropy(logits, batch.targets), [logits]
    if name == "adversarial":
        return _adversarial(model, batch, attack, weight_gradients)
    return _trades(model, batch, attack, beta)


def _adversarial(
    model: nn.Module, batch: Batch, attack: AttackSettings, weight_gradients: bool
) -> tuple[Tensor, list[Tensor]]:
    clean = model(batch.images)

    def measure(logits: Tensor) -> Tensor:
        return F.nll_loss(logits.log_softmax(dim=1), batch.targets, reduction="sum")

    model.eval()
    found = _attack(model, batch.images, attack, measure, weight_gradients)
    model.train()
    for parameter in model.parameters():
        parameter.grad = None
    logits = model(found)
    return F.cross_entropy(logits, batch.targets), [clean, logits]


def _trades(
    model: nn.Module, batch: Batch, attack: AttackSettings, beta: float
) -> tuple[Tensor, list[Tensor]]:
    model.eval()
    probabilities = model(batch.images).softmax(dim=1)

    def measure(logits: Tensor) -> Tensor:
        return F.kl_div(logits.log_softmax(dim=1), probabilities, reduction="sum")

    found = _attack(model, batch.images, attack, measure, weight_gradients=False)
    model.train()
    clean, logits = model(batch.images), model(found)
    divergence = F.kl_div(logits.log_softmax(dim=1), clean.softmax(dim=1), reduction="batchmean")
    loss = F.cross_entropy(clean, batch.targets) + beta * divergence
    return loss, [clean, logits]


def _attack(
    model: nn.Module,
    images: Tensor,
    attack: AttackSettings,
    measure: Callable[[Tensor], Tensor],
    weight_gradients: bool,
) -> Tensor:
    start = torch.empty_like(images).uniform_(-attack.epsilon, attack.epsilon) + OFFSET
    found = _project(images + start, images, attack.epsilon)
    for _ in range(attack.steps):
        found = found.detach().requires_grad_()
        loss = measure(model(found))
        if weight_gradients:
            loss.backward()
            gradient = found.grad
        else:
            (gradient,) = torch.autograd.grad(loss, found)
        found = found.detach() + attack.step_size * gradient.sign()
        found = _project(found, images, attack.epsilon)
    return found.detach()


def _project(found: Tensor, images: Tensor, epsilon: float) -> Tensor:
    difference = torch.clamp(found - images, -epsilon, epsilon)
    return torch.clamp(images + difference, 0.0, 1.0)
