"""What stops an evaluation, and what is only recorded."""

from __future__ import annotations

import pytest
import torch

from robustvit.attacks.support.outcome import AttackOutcome
from robustvit.core.errors import UserError
from robustvit.evaluation import checks


@pytest.mark.parametrize("shift", [-0.01, 0.01, float("nan")])
def test_pixels_outside_the_unit_interval_stop(shift: float) -> None:
    images = torch.tensor([0.0, 1.0])
    checks.require_pixels(images, "set")
    with pytest.raises(UserError, match=r"expected \[0, 1\].*normalization"):
        checks.require_pixels(images + shift, "set")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_stop(value: float) -> None:
    logits = torch.zeros(3, 4)
    checks.require_finite(logits, "weights")
    logits[1, 2] = value
    with pytest.raises(UserError, match="1 of 3 images are not finite"):
        checks.require_finite(logits, "weights")


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_outside_the_model_stop(label: int) -> None:
    with pytest.raises(UserError, match="4 classes"):
        checks.require_labels(torch.tensor([0, label]), 4, "set")


def test_logits_checks() -> None:
    logits = torch.randn(5, 4)
    assert [c["passed"] for c in checks.check_logits(logits, logits)] == [True, True]
    assert not checks.check_logits(logits, logits + 0.1)[0]["passed"]
    assert not checks.check_logits(logits.softmax(1), logits.softmax(1))[1]["passed"]


def test_missing_gradients_are_a_failed_check() -> None:
    assert checks.check_gradients(0, 5)["passed"]
    found = checks.check_gradients(2, 5)
    assert not found["passed"]
    assert "2 of 5" in found["detail"]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_ball(norm: str) -> None:
    images, epsilon = torch.full((2, 3, 4, 4), 0.5), 0.1
    step = torch.zeros_like(images)
    step[0, 0, 0, 0] = epsilon

    def check(adversarial):
        outcome = AttackOutcome(adversarial, torch.ones(2, dtype=torch.bool), 0.0)
        return checks.check_ball("pgd10", images, outcome, epsilon, norm)["passed"]

    assert check(images + step)
    assert check(images + step * (1 + 1e-6))
    assert not check(images + 1.01 * step)
