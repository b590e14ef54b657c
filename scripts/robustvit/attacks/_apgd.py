"""pyautoattack's APGD (Croce & Hein 2020) with a random start that belongs to the example."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from torch import Tensor

from robustvit.attacks._watching import Counted
from robustvit.attacks.support.random import fold, normal, uniform

LIBRARY_NORMS = {"linf": "Linf", "l2": "L2"}
LOGGER = logging.getLogger("robustvit.autoattack")
Predict = Callable[[Tensor], Tensor]


def random_start(images: Tensor, seeds: Tensor, epsilon: float, norm: str) -> Tensor | None:
    """Draw APGD's start: a random direction, stretched to the surface of the ball.

    Args:
        images: float32 [B, 3, H, W] in [0, 1].
        seeds: int64 [B].

    Returns:
        float32 [B, 3, H, W]; the attack clamps it to [0, 1].
    """
    shape = images.shape[1:]
    if norm == "linf":
        noise = 2.0 * uniform(seeds, shape, images.device) - 1.0
        size = noise.flatten(1).abs().amax(dim=1)
    else:
        noise = normal(seeds, shape, images.device)
        size = noise.flatten(1).norm(dim=1)
    return images + epsilon * noise / (size.reshape(-1, 1, 1, 1) + 1e-12)


class SeededAPGD(APGDAttack):
    """APGD whose outcome for an example does not depend on the rest of the batch.

    Args:
        predict: maps pixels to logits.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        loss: "ce", "dlr" (three classes or more) or "margin" (the difference of logits, which
            takes the place of DLR for two classes, where DLR is not defined).
        restarts: random starts for an example that still stands.
        iterations: gradient steps per start.
    """

    def __init__(
        self,
        predict: Predict,
        *,
        epsilon: float,
        norm: str,
        loss: str = "ce",
        restarts: int = 1,
        iterations: int = 100,
    ) -> None:
        self.kind, self.counted = loss, Counted(predict)
        super().__init__(
            self.counted, eps=epsilon, norm=LIBRARY_NORMS[norm], seed=0, logger=LOGGER,
            loss="dlr" if loss == "margin" else loss, n_restarts=restarts, n_iter=iterations,
        )  # fmt: skip

    def dlr_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The library's DLR loss of logits [B, K], or minus the margin for two classes."""
        if self.kind != "margin":
            return super().dlr_loss(x, y)
        return -margin(x, y)

    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return adversarial examples [B, 3, H, W]; the clean image where none was found."""
        return run_rounds(self, images, labels, seeds, range(self.n_restarts))


class SeededTargetedAPGD(APGDAttack_targeted):
    """APGD-T on the targeted DLR loss, towards the `targets` likeliest wrong classes in turn."""

    def __init__(
        self, predict: Predict, *, epsilon: float, norm: str, targets: int, iterations: int = 100
    ) -> None:
        self.counted = Counted(predict)
        super().__init__(
            self.counted, eps=epsilon, norm=LIBRARY_NORMS[norm], seed=0, logger=LOGGER,
            n_restarts=1, n_iter=iterations, n_target_classes=targets,
        )  # fmt: skip
        self.all_targets = self.chosen = torch.empty(0, dtype=torch.int64)

    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return adversarial examples [B, 3, H, W]; the clean image where none was found."""
        return run_rounds(self, images, labels, seeds, self._targets(images))

    def _targets(self, images: Tensor) -> Iterator[int]:
        order = self.model(images).sort(dim=1)[1]
        for rank in range(self.n_target_classes):
            self.all_targets = order[:, -2 - rank]
            yield rank

    def attack_single_run(
        self, x: Tensor, y: Tensor, x_init: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Run the library's attack towards the current targets of the examples in this round."""
        self.y_target = self.all_targets[self.chosen]
        return super().attack_single_run(x, y, x_init=x_init)


def run_rounds(
    attack: SeededAPGD | SeededTargetedAPGD,
    images: Tensor,
    labels: Tensor,
    seeds: Tensor,
    rounds: Iterator[int] | range,
) -> Tensor:
    """Attack in rounds (restarts or targets), each one only what all earlier ones left standing.

    Every example of a round takes part in all calls of the model: `attack.passes`, int64 [B].
    """
    attack.init_hyperparam(images)
    adversarial, attack.passes = images.clone(), torch.zeros_like(labels)
    standing = torch.ones(len(images), dtype=torch.bool, device=images.device)
    norm = "linf" if attack.norm == "Linf" else "l2"
    for number in rounds:
        attack.chosen = chosen = standing.nonzero().flatten()
        if chosen.numel() == 0:
            break
        start = random_start(images[chosen], fold(seeds[chosen], number), attack.eps, norm)
        before = attack.counted.calls
        found = attack.attack_single_run(images[chosen], labels[chosen], x_init=start)
        attack.passes[chosen] += attack.counted.calls - before
        broken = found[1] == 0
        adversarial[chosen[broken]] = found[3][broken]
        standing[chosen[broken]] = False
    return adversarial


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the largest other logit, [B]; negative means misclassified."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    is_label = F.one_hot(labels, logits.shape[1]).bool()
    return own - logits.masked_fill(is_label, -torch.inf).amax(dim=1)
