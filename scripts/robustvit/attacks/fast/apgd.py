"""APGD (Croce & Hein 2020) for many examples at once; whoever is broken leaves at once.

Steps, momentum, checkpoints and the rule that halves a step are those of `pyautoattack`; the last
gradient, which nobody uses, is not computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustvit.attacks._apgd import random_start
from robustvit.attacks.fast.network import Measure, Network
from robustvit.attacks.fast.rows import Examples, Findings, Rows, rounds
from robustvit.attacks.support.random import fold

MOMENTUM = 0.75  # weight of a step against the previous move
RISES = 0.75  # a step is halved if the loss rose in no more than this share of the steps


@dataclass
class Ascent(Rows):
    """R ascents: images [R, C, H, W], numbers [R].

    Attributes:
        clean: the image in the middle of the ball.
        label: of the example.
        target: class that the ascent aims at, if its loss has one.
        point: the iterate.
        previous: the iterate before.
        loss: at `point`.
        gradient: of the loss at `point`.
        best: point of highest loss.
        best_loss: at `best`.
        best_gradient: at `best`.
        step: length of a step, [R, 1, 1, 1].
        rises: steps since the last checkpoint that raised the loss.
        checked_loss: `best_loss` at the last checkpoint.
        halved: whether the last checkpoint halved the step.
    """

    clean: Tensor
    label: Tensor
    target: Tensor
    point: Tensor
    previous: Tensor
    loss: Tensor
    gradient: Tensor
    best: Tensor
    best_loss: Tensor
    best_gradient: Tensor
    step: Tensor
    rises: Tensor
    checked_loss: Tensor
    halved: Tensor


@dataclass(frozen=True)
class APGD:
    """The attack and its settings.

    Attributes:
        network: the model.
        measure: the loss to raise, `measure(logits, labels, targets) -> [R]`.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        iterations: gradient steps of an ascent.
        ascents: most ascents for an example, towards its targets in turn; a loss without a
            target gets as many random starts.
        limit: most ascents at a time.
    """

    network: Network
    measure: Measure
    epsilon: float
    norm: str
    iterations: int
    ascents: int
    limit: int

    def attack(self, found: Findings, examples: Examples) -> None:
        """Attack; what is found goes to `found`."""
        classes = examples.targets.shape[1]
        for owner, number in rounds(found.standing, self.ascents, self.limit):
            ascent = self._start(
                owner, examples.images[owner], examples.labels[owner],
                examples.targets[owner, number % classes], fold(examples.seeds[owner], number),
            )  # fmt: skip
            self._climb(ascent, found)

    def _start(
        self, owner: Tensor, clean: Tensor, label: Tensor, target: Tensor, seeds: Tensor
    ) -> Ascent:
        point = random_start(clean, seeds, self.epsilon, self.norm).clamp_(0.0, 1.0)
        zeros = clean.new_zeros(len(owner))
        step = clean.new_full((len(owner), 1, 1, 1), 2.0 * self.epsilon)
        return Ascent(
            owner, clean, label, target, point, previous=point, loss=zeros, gradient=point,
            best=point.clone(), best_loss=zeros - torch.inf, best_gradient=torch.empty_like(point),
            step=step, rises=zeros.clone(), checked_loss=zeros - torch.inf, halved=zeros == 0,
        )  # fmt: skip

    def _climb(self, ascent: Ascent, found: Findings) -> None:
        checkpoints = dict(_checkpoints(self.iterations))
        for iteration in range(self.iterations + 1):
            if iteration > 0:
                self._move(ascent, 1.0 if iteration == 1 else MOMENTUM)
            found.take(ascent, ascent.point, self._look(ascent, iteration))
            if len(ascent) == 0:
                return
            if iteration in checkpoints:
                _check(ascent, checkpoints[iteration])

    def _look(self, ascent: Ascent, iteration: int) -> Tensor:
        """Go through the network; note loss and gradient; return who is misclassified."""
        if iteration == self.iterations:
            logits = self.network.logits(ascent.point, ascent.owner)
            return logits.argmax(dim=1) != ascent.label
        logits, loss, ascent.gradient = self.network.gradient(
            ascent.point, self.measure, ascent.label, ascent.target, owners=ascent.owner
        )
        # The start is no step; the first step is compared with zero, as in pyautoattack.
        if iteration > 0:
            ascent.rises += loss > ascent.loss
            ascent.loss = loss
        better = (loss > ascent.best_loss).nonzero().flatten()
        ascent.best[better] = ascent.point[better]
        ascent.best_gradient[better] = ascent.gradient[better]
        ascent.best_loss[better] = loss[better]
        if iteration == 0:
            ascent.checked_loss = loss.clone()
        return logits.argmax(dim=1) != ascent.label

    def _move(self, ascent: Ascent, momentum: float) -> None:
        point, drift = ascent.point, ascent.point - ascent.previous
        if self.norm == "linf":
            ahead = torch.addcmul(point, ascent.step, ascent.gradient.sign())
        else:
            ahead = torch.addcmul(point, ascent.step, _unit(ascent.gradient))
        ahead = self._project(ahead, ascent.clean)
        if momentum < 1.0:
            ahead = ahead.sub_(point).mul_(momentum).add_(point).add_(drift, alpha=1.0 - momentum)
            ahead = self._project(ahead, ascent.clean)
        ascent.previous, ascent.point = point, ahead

    def _project(self, points: Tensor, clean: Tensor) -> Tensor:
        if self.norm == "linf":
            low, high = clean - self.epsilon, clean + self.epsilon
            return torch.minimum(torch.maximum(points, low), high).clamp_(0.0, 1.0)
        delta = points - clean
        length = _length(delta)
        scale = length.clamp(max=self.epsilon) / (length + 1e-12)
        return torch.addcmul(clean, delta, scale).clamp_(0.0, 1.0)


def _check(ascent: Ascent, steps: int) -> None:
    """Halve the steps of ascents that no longer rise, and send them back to their best point."""
    wavers = ascent.rises <= steps * RISES
    stuck = ~ascent.halved & (ascent.checked_loss >= ascent.best_loss)
    ascent.halved = wavers | stuck
    ascent.checked_loss = ascent.best_loss.clone()
    ascent.rises = torch.zeros_like(ascent.rises)
    places = ascent.halved.nonzero().flatten()
    ascent.step[places] /= 2.0
    ascent.point[places] = ascent.best[places]
    ascent.gradient[places] = ascent.best_gradient[places]


def _checkpoints(iterations: int) -> list[tuple[int, int]]:
    """Steps after which an ascent is checked, each with the number of steps since the last."""
    length, shortest = max(int(0.22 * iterations), 1), max(int(0.06 * iterations), 1)
    shorter, step, result = max(int(0.03 * iterations), 1), 0, []
    while step + length <= iterations:
        step += length
        result.append((step, length))
        length = max(length - shorter, shortest)
    return result


def _length(delta: Tensor) -> Tensor:
    return delta.flatten(1).square().sum(dim=1).sqrt().reshape(-1, 1, 1, 1)


def _unit(delta: Tensor) -> Tensor:
    return delta / (_length(delta) + 1e-12)
