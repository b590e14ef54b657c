"""Learning rate and ε at every epoch, against timm and against the specification's formulas."""

from __future__ import annotations

import math

import pytest
import torch
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, StepLRScheduler

from robustvit.core.errors import UserError
from robustvit.training.schedules import (
    epsilon_fraction,
    learning_rate,
    schedule_time,
    total_epochs,
)

WARMUP = {"warmup_t": 10, "warmup_lr_init": 1e-6, "warmup_prefix": False}


def _recipe(name: str, **schedule: object) -> dict:
    values = {
        "name": name,
        "warmup_epochs": 10,
        "warmup_lr": 1e-6,
        "min_lr": 1e-5,
        "decay_epochs": None,
        "decay_rate": 0.1,
        "per": "epoch",
    }
    return {
        "epochs": 100,
        "cooldown_epochs": 10,
        "optimizer": {"lr": 5e-4},
        "schedule": {**values, **schedule},
    }


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5e-4)


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        (_recipe("cosine"), CosineLRScheduler(_optimizer(), 100, lr_min=1e-5, **WARMUP)),
        (_recipe("step", decay_epochs=30), StepLRScheduler(_optimizer(), 30, 0.1, **WARMUP)),
        (
            _recipe("multistep", decay_epochs=[40, 80]),
            MultiStepLRScheduler(_optimizer(), [40, 80], 0.1, **WARMUP),
        ),
    ],
)
def test_learning_rate_is_timms_at_every_epoch(recipe, reference):
    for epoch in range(total_epochs(recipe)):
        expected = reference._get_lr(epoch)[0]
        assert learning_rate(recipe, epoch) == pytest.approx(expected, rel=1e-12), epoch


def test_cooldown_counts_for_the_cosine_schedule_only():
    assert total_epochs(_recipe("cosine")) == 110
    assert total_epochs(_recipe("step", decay_epochs=30)) == 100
    assert learning_rate(_recipe("cosine"), 105) == 1e-5


def test_first_epoch_runs_at_the_warmup_rate_and_epsilon_zero():
    assert learning_rate(_recipe("cosine"), 0) == 1e-6
    attack = {"epsilon_schedule": "linear", "epsilon_warmup_epochs": 10}
    assert epsilon_fraction(attack, 0) == 0.0
    assert epsilon_fraction(attack, 9) == pytest.approx(0.9)
    assert epsilon_fraction(attack, 10) == 1.0


@pytest.mark.parametrize("zero", [0, 3])
def test_epsilon_follows_its_formula_at_every_epoch(zero):
    for epoch in range(30):
        linear, sine = (
            epsilon_fraction(
                {
                    "epsilon_schedule": name,
                    "epsilon_warmup_epochs": 20,
                    "epsilon_zero_epochs": zero,
                },
                epoch,
            )
            for name in ("linear", "sine")
        )
        if epoch >= 20:
            assert linear == sine == 1.0
        elif epoch < zero:
            assert linear == sine == 0.0
        else:
            assert linear == pytest.approx((epoch - zero) / 20)
            wave = 0.5 * (1 + math.sin(math.pi * ((epoch - zero) / 20 - 0.5)))
            assert sine == pytest.approx(wave)


def test_no_warmup_means_full_epsilon_from_the_start():
    assert epsilon_fraction({"epsilon_schedule": "linear", "epsilon_warmup_epochs": 0}, 0) == 1.0
    assert epsilon_fraction({"epsilon_schedule": "constant", "epsilon_warmup_epochs": 9}, 0) == 1.0


def test_time_is_whole_epochs_or_exact_fractions():
    assert schedule_time(_recipe("cosine"), 25, 10) == 2
    assert schedule_time(_recipe("cosine", per="step"), 25, 10) == 2.5


def test_unknown_schedules_are_named():
    with pytest.raises(UserError, match='Did you mean "cosine"'):
        learning_rate(_recipe("cosin"), 50)
    with pytest.raises(UserError, match="epsilon_schedule"):
        epsilon_fraction({"epsilon_schedule": "log"}, 1)
