"""Losses on fixed logits, worked out by hand in units of ln 2 (spec A1.3, A1.4)."""

from __future__ import annotations

import math

import pytest
import torch
from paper_recipes import CANONICAL, CIFAR, LIGHT, plan_of
from torch import nn

from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.losses import adversarial, clean, trades

LN2, LN3 = math.log(2), math.log(3)
# Probabilities 1/2, 1/4, 1/8, 1/8: negative logarithms of 1, 2, 3 and 3 times ln 2.
LOGITS = torch.tensor([[2 * LN2, LN2, 0.0, 0.0]])
EPSILON = 0.1


def test_label_smoothing():
    """0.925 · 1 + 0.025 · (2 + 3 + 3) for label 0; 0.025 · (1 + 3 + 3) + 0.925 · 2 for label 1."""
    criterion = plan_of(LIGHT).criterion
    assert criterion(LOGITS, torch.tensor([0])).item() == pytest.approx(1.125 * LN2)
    assert criterion(LOGITS, torch.tensor([1])).item() == pytest.approx(2.025 * LN2)
    both = criterion(LOGITS.repeat(2, 1), torch.tensor([0, 1]))
    assert both.item() == pytest.approx(1.575 * LN2)


def test_cifar_has_plain_cross_entropy():
    criterion = plan_of(CIFAR).criterion
    assert criterion(LOGITS, torch.tensor([1])).item() == pytest.approx(2 * LN2)


def test_soft_targets_are_not_smoothed_again():
    """λ = 3/4 of label 0 with label 1, smoothed by 0.1: 0.7, 0.25, 0.025, 0.025."""
    targets = torch.tensor([[0.7, 0.25, 0.025, 0.025]])
    found = plan_of(CANONICAL).criterion(LOGITS, targets)
    assert found.item() == pytest.approx((0.7 + 2 * 0.25 + 3 * 0.05) * LN2)


class Pixel(nn.Module):
    """Logits (w · (x − 1/2), 0) of one pixel: probability 3/4 or 1/4 at a distance of ε."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(LN3 / EPSILON))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = self.weight * (images.flatten(1) - 0.5)
        return torch.cat([score, torch.zeros_like(score)], dim=1)


def pixels(label: int = 0, count: int = 3) -> Batch:
    images = torch.full((count, 1, 1, 1), 0.5)
    return Batch(images, torch.full((count,), label), torch.arange(count))


def context(steps: int = 10, beta: float = 6.0, reach: float = 1.5) -> LossContext:
    attack = AttackSettings("pgd", "linf", EPSILON, reach * EPSILON / steps, steps)
    return LossContext(Pixel(), nn.functional.cross_entropy, attack, {"beta": beta})


def test_clean_and_adversarial_losses():
    """At 1/2 both classes are equally likely; the attack leaves the label a quarter."""
    assert clean.compute(pixels(), context()).loss.item() == pytest.approx(LN2)
    # The paper's steps have 1.5 ε in all, too little from the far end of the ball; 3 ε suffice.
    for steps in (2, 10):
        found = adversarial.compute(pixels(), context(steps, reach=3.0)).loss.item()
        assert found == pytest.approx(2 * LN2, rel=1e-5)


@pytest.mark.parametrize("beta", [6.0, 12.0])
def test_trades(beta):
    """KL((1/2, 1/2) ‖ (3/4, 1/4)) = ln(4/3) / 2 at either corner, mean over the batch."""
    expected = LN2 + beta * math.log(4 / 3) / 2
    for count in (1, 3):
        found = trades.compute(pixels(count=count), context(beta=beta))
        assert found.loss.item() == pytest.approx(expected, rel=1e-5)
    if beta == 6.0:
        assert expected == pytest.approx(1.5561934, rel=1e-7)


def test_trades_divergence_is_the_mean_over_examples_not_over_classes():
    once, twice = (trades.compute(pixels(count=n), context(beta=1.0)).loss for n in (1, 2))
    assert once.item() == pytest.approx(twice.item(), rel=1e-6)
    assert once.item() == pytest.approx(LN2 + math.log(4 / 3) / 2, rel=1e-5)
