"""Learning rates of the released code at single epochs, worked out by hand (spec A1.6, A4)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from paper_recipes import CIFAR, HIRES, LIGHT, RESNET, plan_of

from robustvit.config.resolve import resolve
from robustvit.training.schedules import learning_rate, total_epochs

# Cosine, 1e-5 + 2.45e-4 · (1 + cos(π t / 100)); warm-up 1e-6 + 4.99e-5 · t.
BY_HAND = {
    0: 1e-6,
    1: 5.09e-5,
    5: 2.505e-4,
    9: 4.501e-4,
    10: 4.8800885e-4,  # the warm-up is not prefixed: here the cosine is at 10, not at its peak
    50: 2.55e-4,
    75: 8.1758839e-5,
    99: 1.0120893e-5,
    100: 1e-5,
    109: 1e-5,
}


@pytest.mark.parametrize(("epoch", "expected"), BY_HAND.items())
def test_light_recipe(epoch, expected):
    assert learning_rate(LIGHT, epoch) == pytest.approx(expected, rel=1e-7)


def test_light_recipe_never_reaches_its_peak_and_runs_110_epochs():
    rates = [learning_rate(LIGHT, epoch) for epoch in range(total_epochs(LIGHT))]
    assert len(rates) == 110
    assert max(rates) == rates[10] < 5e-4


def test_an_epoch_has_one_rate():
    plan = plan_of(LIGHT)
    assert plan.steps_per_epoch == 10
    assert {plan.learning_rate(step) for step in range(10)} == {1e-6}
    assert {plan.learning_rate(step) for step in range(10, 20)} == {learning_rate(LIGHT, 1)}
    assert plan.total_steps == 1100


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [((0, 29), 3.2), ((30, 59), 0.32), ((60, 89), 0.032), ((90, 99), 0.0032)],
)
def test_resnet_divides_by_ten_every_thirty_epochs(epochs, expected):
    """Its warm-up starts from the rate itself, so there is none."""
    for epoch in epochs:
        assert learning_rate(RESNET, epoch) == pytest.approx(expected, rel=1e-12)


def test_the_step_schedule_has_no_cooldown():
    assert RESNET["cooldown_epochs"] == 10
    assert total_epochs(RESNET) == 100


def test_fine_tuning():
    assert total_epochs(HIRES) == 30
    assert learning_rate(HIRES, 10) == pytest.approx(2.75e-5)
    assert learning_rate(HIRES, 4) == pytest.approx(1e-6 + 4 * 9.8e-6)
    assert {learning_rate(HIRES, epoch) for epoch in range(20, 30)} == {5e-6}
    assert total_epochs(CIFAR) == 22
    assert learning_rate(CIFAR, 5) == pytest.approx(2.4215359e-4, rel=1e-7)
    assert learning_rate(CIFAR, 10) == pytest.approx(1.4392136e-4, rel=1e-7)


def test_rates_of_the_configuration_follow_the_square_root_rule_where_the_code_does():
    """AdamW, base 2e-4 at a batch of 512: 2.83e-4 at 1024 (spec A1.6, contradiction 5)."""
    assert 2e-4 * math.sqrt(1024 / 512) == pytest.approx(2.83e-4, rel=1e-3)
    path = Path(__file__).resolve().parents[3] / "workflow_config.yaml"
    recipes = resolve(yaml.safe_load(path.read_text(encoding="utf-8")))["recipes"].values()
    trades = [recipe for recipe in recipes if recipe["loss"]["name"] == "trades"]
    assert any(recipe["batch_size"] == 1024 for recipe in trades)
    for recipe in trades:
        expected = 2e-4 * math.sqrt(recipe["batch_size"] / 512)
        assert recipe["optimizer"]["lr"] == pytest.approx(expected, rel=1e-6)
