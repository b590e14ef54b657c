"""Learning rate and ε at every epoch, against timm and against the specification's formulas."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
import yaml
from timm.scheduler import create_scheduler_v2
from training_samples import train_spec

from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError
from robustvit.training.schedules import (
    epsilon_fraction,
    learning_rate,
    schedule_time,
    total_epochs,
)

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATIONS = ("workflow_config.yaml", "configs/demo.yaml")


def _recipe(name: str, **schedule: object) -> dict:
    values = {
        "name": name,
        "warmup_epochs": 10,
        "warmup_prefix": False,
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


def timms_scheduler(recipe: dict, **options: object) -> tuple:
    """timm's scheduler for a recipe, and the number of epochs that it gives it."""
    schedule, decays = recipe["schedule"], recipe["schedule"]["decay_epochs"]
    weights = [torch.zeros(1, requires_grad=True)]
    milestones = decays if isinstance(decays, list) else ()
    return create_scheduler_v2(
        torch.optim.SGD(weights, lr=recipe["optimizer"]["lr"]),
        sched=schedule["name"],
        num_epochs=recipe["epochs"],
        cooldown_epochs=recipe["cooldown_epochs"],
        decay_epochs=None if milestones else decays,
        decay_milestones=milestones,
        decay_rate=schedule["decay_rate"],
        min_lr=schedule["min_lr"],
        warmup_lr=schedule["warmup_lr"],
        warmup_epochs=schedule["warmup_epochs"],
        warmup_prefix=schedule["warmup_prefix"],
        **options,
    )


def assert_timms(recipe: dict) -> None:
    """Compare the length and every epoch's rate with timm's."""
    scheduler, epochs = timms_scheduler(recipe)
    assert total_epochs(recipe) == epochs
    for epoch in range(epochs):
        expected = scheduler._get_lr(epoch)[0]
        assert learning_rate(recipe, epoch) == pytest.approx(expected, rel=1e-12), epoch


SHAPES = {
    "cosine": {},
    "cosine to zero": {"min_lr": 0.0, "warmup_epochs": 0},
    "step": {"name": "step", "decay_epochs": 30},
    "multistep": {"name": "multistep", "decay_epochs": [40, 80]},
}


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_rate_and_length_are_timms_at_every_epoch(shape, prefix):
    recipe = _recipe(**{"name": "cosine", "warmup_prefix": prefix, **SHAPES[shape]})
    assert_timms(recipe)


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("shape", ["cosine", "cosine to zero", "step"])
def test_rate_is_timms_at_every_step(shape, prefix):
    recipe = _recipe(**{"name": "cosine", "per": "step", "warmup_prefix": prefix, **SHAPES[shape]})
    steps = 7
    scheduler, _ = timms_scheduler(recipe, step_on_epochs=False, updates_per_epoch=steps)
    for step in range(total_epochs(recipe) * steps):
        expected = scheduler._get_lr(step)[0]
        ours = learning_rate(recipe, schedule_time(recipe, step, steps))
        assert ours == pytest.approx(expected, rel=1e-9), step


def test_milestones_of_steps_are_timms_one_step_later():
    recipe = _recipe("multistep", per="step", decay_epochs=[40, 80])
    scheduler, _ = timms_scheduler(recipe, step_on_epochs=False, updates_per_epoch=7)
    for step in range(10 * 7 + 1, 100 * 7):
        expected = scheduler._get_lr(step - 1)[0]
        assert learning_rate(recipe, schedule_time(recipe, step, 7)) == pytest.approx(expected)


def _resolved_recipes() -> dict[str, dict]:
    files = [yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in CONFIGURATIONS]
    found = {}
    for side in ("code", "thesis"):
        config = resolve(deep_merge(*files, {"follow": side}))
        recipes = [entry["recipe"] for entry in config["experiments"].values()]
        recipes = [*config["recipes"].values(), *filter(None, recipes)]
        keys = ("epochs", "cooldown_epochs", "schedule", "attack")
        for recipe in recipes:
            used = {key: recipe[key] for key in keys} | {"optimizer": recipe["optimizer"]}
            found[json.dumps(used, sort_keys=True)] = used
    return found


def test_every_recipe_of_the_configuration_follows_timm_at_every_epoch_and_step():
    recipes = _resolved_recipes()
    assert len(recipes) > 20
    for recipe in recipes.values():
        per_epoch = {**recipe, "schedule": {**recipe["schedule"], "per": "epoch"}}
        assert_timms(per_epoch)
        if recipe["schedule"]["per"] == "step":
            scheduler, _ = timms_scheduler(recipe, step_on_epochs=False, updates_per_epoch=5)
            for step in range(total_epochs(recipe) * 5):
                expected = scheduler._get_lr(step)[0]
                time = schedule_time(recipe, step, 5)
                assert learning_rate(recipe, time) == pytest.approx(expected, rel=1e-9)


def test_every_recipe_has_its_epsilon_at_every_epoch():
    for recipe in _resolved_recipes().values():
        attack, period = recipe["attack"], recipe["attack"]["epsilon_warmup_epochs"]
        assert attack["epsilon_zero_epochs"] == 0
        for epoch in range(total_epochs(recipe)):
            expected = 1.0
            if attack["epsilon_schedule"] == "linear" and epoch < period:
                expected = epoch / period
            assert epsilon_fraction(attack, epoch) == pytest.approx(expected)


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


@pytest.mark.parametrize(
    ("schedule", "steps"), [("constant", [6.0, 6.0, 6.0]), ("epsilon", [0.0, 3.0, 6.0])]
)
def test_the_step_size_stays_or_grows_with_epsilon(schedule, steps, make_plan):
    attack = {"epsilon_schedule": "linear", "epsilon_warmup_epochs": 2, "step_schedule": schedule}
    plan = make_plan(train_spec(epochs=3, schedule={"per": "epoch"}, attack=attack))
    found = [plan.attack_at(epoch * plan.steps_per_epoch) for epoch in range(3)]
    assert [settings.epsilon * 255 for settings in found] == pytest.approx([0.0, 2.0, 4.0])
    assert [settings.step_size * 255 for settings in found] == pytest.approx(steps)
