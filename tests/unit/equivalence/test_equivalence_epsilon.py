"""ε and step sizes of the released code at single epochs, by hand (spec A1.1, A1.2)."""

from __future__ import annotations

import pytest
from paper_recipes import CIFAR, HIRES, LIGHT, plan_of, with_attack

from robustvit.attacks.pgd import default_step_size

FOUR, EIGHT = 4 / 255, 8 / 255


def epsilon(recipe: dict, epoch: int, epsilon_255: float = 4) -> float:
    return plan_of(recipe, epsilon_255).attack_at(10 * epoch).epsilon


LINEAR = {0: 0.0, 1: 0.1, 5: 0.5, 9: 0.9, 10: 1.0, 109: 1.0}
SINE = {0: 0.0, 2: 0.0954915028, 5: 0.5, 8: 0.9045084972, 10: 1.0}


@pytest.mark.parametrize(("epoch", "fraction"), LINEAR.items())
def test_linear_warmup_of_ten_epochs(epoch, fraction):
    assert epsilon(LIGHT, epoch) == pytest.approx(fraction * FOUR, abs=1e-12)


@pytest.mark.parametrize(("epoch", "fraction"), {0: 0.0, 9: 0.45, 19: 0.95, 20: 1.0}.items())
def test_linear_warmup_of_the_nano_recipe(epoch, fraction):
    recipe = with_attack(LIGHT, epsilon_warmup_epochs=20)
    assert epsilon(recipe, epoch) == pytest.approx(fraction * FOUR, abs=1e-12)


@pytest.mark.parametrize(("epoch", "fraction"), SINE.items())
def test_sine_warmup(epoch, fraction):
    recipe = with_attack(LIGHT, epsilon_schedule="sine")
    assert epsilon(recipe, epoch) == pytest.approx(fraction * FOUR, abs=1e-11)


@pytest.mark.parametrize("schedule", ["linear", "sine"])
def test_epochs_without_epsilon_are_taken_from_the_warmup(schedule):
    """Three epochs of zero within a period of ten: the ramp has a tenth per epoch, then jumps."""
    recipe = with_attack(LIGHT, epsilon_schedule=schedule, epsilon_zero_epochs=3)
    assert [epsilon(recipe, epoch) for epoch in (0, 2, 3)] == [0.0, 0.0, 0.0]
    assert epsilon(recipe, 8) == pytest.approx(FOUR / 2)
    assert epsilon(recipe, 9) < 0.8 * FOUR
    assert epsilon(recipe, 10) == FOUR


@pytest.mark.parametrize("schedule", ["linear", "sine"])
@pytest.mark.parametrize("period", [0, 2])
def test_epochs_without_epsilon_outlast_a_shorter_warmup(schedule, period):
    recipe = with_attack(
        LIGHT,
        epsilon_schedule=schedule,
        epsilon_warmup_epochs=period,
        epsilon_zero_epochs=5,
    )
    assert [epsilon(recipe, epoch) for epoch in (0, 2, 4, 5)] == [0.0, 0.0, 0.0, FOUR]


def test_constant_epsilon_knows_no_warmup():
    recipe = with_attack(CIFAR, epsilon_warmup_epochs=10, epsilon_zero_epochs=3)
    assert epsilon(recipe, 0, 8) == EIGHT
    recipe = with_attack(LIGHT, epsilon_warmup_epochs=0)
    assert epsilon(recipe, 0) == FOUR


def test_an_epoch_has_one_epsilon():
    plan = plan_of(LIGHT)
    assert {plan.attack_at(step).epsilon for step in range(10)} == {0.0}
    assert {plan.attack_at(step).epsilon for step in range(90, 100)} == {0.9 * FOUR}


def test_the_evaluation_has_the_final_epsilon_and_the_steps_of_the_training():
    attack = plan_of(LIGHT).evaluation_context(None, None).attack
    assert (attack.epsilon, attack.steps, attack.step_size) == (FOUR, 1, 1.5 * FOUR)


@pytest.mark.parametrize(
    ("recipe", "epsilon_255", "expected"),
    [
        (LIGHT, 4, 0.0235294118),  # the "FGSM": one step of 1.5 ε
        (with_attack(LIGHT, steps=2), 8, 0.0235294118),  # two of 0.75 ε
        (CIFAR, 8, 0.0047058824),  # PGD-10: 0.15 ε
        (with_attack(LIGHT, steps=100), 4, 0.0002352941),  # PGD-100: 0.015 ε
        # Absolute steps of the time of the thesis, in units of 1/255.
        (with_attack(LIGHT, step_size_255=4.4), 4, 0.0172549),  # 1.1 ε
        (with_attack(HIRES, step_size_255=2.4), 8, 0.0094118),  # 0.3 ε
    ],
)
def test_step_sizes(recipe, epsilon_255, expected):
    found = plan_of(recipe, epsilon_255).attack_at(10**6).step_size
    assert found == pytest.approx(expected, abs=5e-8)


def test_the_step_keeps_its_final_size_while_epsilon_grows():
    plan = plan_of(LIGHT)
    assert {plan.attack_at(10 * epoch).step_size for epoch in range(110)} == {1.5 * FOUR}


def test_attacks_of_the_evaluation_use_the_same_rule():
    assert default_step_size(FOUR, 10) == pytest.approx(0.15 * FOUR)
    assert default_step_size(15.0, 100) == pytest.approx(0.225)  # accumulated gradients
