"""FAB-T (Croce & Hein 2020b) for a verdict: a search ends at the first point within the ball.

The attack looks for the nearest adversarial image; whether there is one within ε is all that an
evaluation asks, so the search of an example ends there. Steps and their lengths are those of
`pyautoattack`; its random starts belong to restarts, of which AutoAttack has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.projection import displacement
from robustvit.attacks.fast.rows import Examples, Findings, Rows, rounds

OVERSHOOT = 1.05
BACKWARD = 0.9  # how much of the way from the image is kept after a success outside the ball
PULL = 0.1  # largest weight of the step from the image against the step from the iterate


@dataclass
class Pursuit(Rows):
    """R pursuits: images [R, C, H, W], classes [R].

    Attributes:
        clean: the image.
        label: of the image.
        target: class whose decision boundary is followed.
        point: the iterate.
    """

    clean: Tensor
    label: Tensor
    target: Tensor
    point: Tensor


@dataclass(frozen=True)
class FAB:
    """The attack and its settings.

    Attributes:
        network: the model.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        iterations: steps of a pursuit.
        pursuits: most pursuits for an example, one per target.
        limit: most pursuits at a time.
    """

    network: Network
    epsilon: float
    norm: str
    iterations: int
    pursuits: int
    limit: int

    def attack(self, found: Findings, examples: Examples) -> None:
        """Attack; what is found goes to `found`."""
        for owner, number in rounds(found.standing, self.pursuits, self.limit):
            clean, target = examples.images[owner], examples.targets[owner, number]
            pursuit = Pursuit(owner, clean, examples.labels[owner], target, clean)
            for _ in range(self.iterations):
                self._step(pursuit)
                outside = self._look(pursuit, found)
                if len(pursuit) == 0:
                    break
                _step_back(pursuit, outside)

    def _step(self, pursuit: Pursuit) -> None:
        """Go to where the linearised boundary is near both to the iterate and to the image."""
        _, gap, normal = self.network.gradient(
            pursuit.point, _lead, pursuit.label, pursuit.target, owners=pursuit.owner
        )
        points = torch.stack([pursuit.point.flatten(1), pursuit.clean.flatten(1)])
        normal = normal.flatten(1)
        away = gap + (normal * (points[1] - points[0])).sum(dim=1)
        moves = displacement(points, normal, torch.stack([gap, away]), self.norm)
        length = _length(moves, self.norm).clamp_(min=1e-8)
        pull = (length[0] / (length[0] + length[1])).clamp_(max=PULL)[:, None]
        points.add_(moves, alpha=OVERSHOOT)
        point = torch.lerp(points[0], points[1], pull).clamp_(0.0, 1.0)
        pursuit.point = point.reshape_as(pursuit.clean)

    def _look(self, pursuit: Pursuit, found: Findings) -> Tensor:
        """Hand over what is in the ball; return which of the rest is adversarial, bool [R]."""
        logits = self.network.logits(pursuit.point, pursuit.owner)
        wrong = logits.argmax(dim=1) != pursuit.label
        inside = _length((pursuit.point - pursuit.clean).flatten(1), self.norm) <= self.epsilon
        stays = found.take(pursuit, pursuit.point, wrong & inside)
        return wrong[stays]


def _step_back(pursuit: Pursuit, outside: Tensor) -> None:
    places = outside.nonzero().flatten()
    pursuit.point[places] = torch.lerp(pursuit.clean[places], pursuit.point[places], BACKWARD)


def _lead(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target minus that of the label, [R]: its zero is the decision boundary."""
    chosen = logits.gather(1, torch.stack([targets, labels], dim=1))
    return chosen[:, 0] - chosen[:, 1]


def _length(delta: Tensor, norm: str) -> Tensor:
    if norm == "linf":
        return delta.abs().amax(dim=-1)
    return delta.square().sum(dim=-1).sqrt()
