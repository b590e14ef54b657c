"""Forward passes that a stage needs for one image; gradients are counted in forward passes too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robustvit.planning.models import Cost
from robustvit.planning.ranges import Range, exactly

CLEAN_STEP = 3.0  # forward, gradients of the images and of the weights
AUTOATTACK = {"iterations": 100, "queries": 5000, "targets": 9, "restarts": 1}
APGD = {"restarts": 5, "iterations": 100}
# An attack of a user's own: nothing says how much it does, so as much as PGD with these steps.
UNKNOWN_STEPS = 10


@dataclass(frozen=True)
class Standing:
    """Shares of images that a model classifies correctly: clean, and after an attack."""

    clean: Range
    robust: Range


def training_step(recipe: Mapping, cost: Cost) -> float:
    """Passes for one training image, as the project's losses take them."""
    loss, attack = recipe["loss"]["name"], recipe["attack"]["steps"] * cost.attack
    if loss == "clean":
        return CLEAN_STEP
    if loss == "trades":  # clean probabilities, attack, and a step on both kinds of images
        return 1.0 + attack + 2 * CLEAN_STEP
    return attack + CLEAN_STEP


def monitored(recipe: Mapping, cost: Cost) -> float:
    """Passes for one evaluation image between epochs: clean, and under the training's attack."""
    if recipe["loss"]["name"] == "clean":
        return 1.0
    return 2.0 + recipe["attack"]["steps"] * cost.attack


def watched(recipe: Mapping, cost: Cost) -> float:
    """Passes for one image watched for catastrophic overfitting: a weak and a strong attack."""
    steps = recipe["attack"]["steps"] + recipe["watch"]["steps"]
    return 2.0 + steps * cost.attack


def evaluation(
    attack: str | None, options: Mapping, classes: int, cost: Cost, standing: Standing
) -> Range:
    """Passes for one image of an evaluation: predictions, and attacks on what still stands."""
    predictions = exactly(1.0 if attack is None else 3.0)
    if attack is None:
        return predictions
    if attack == "autoattack":
        return predictions + _autoattack(options, classes, cost, standing)
    if attack == "apgd_ce":
        settings = {**APGD, **options}
        start = (settings["iterations"] + 1) * cost.attack
        later = (settings["restarts"] - 1) * start
        return predictions + standing.clean * start + standing.robust * later
    steps = 1 if attack == "fgsm" else options.get("steps", UNKNOWN_STEPS)
    if attack == "pgd_targeted":
        steps *= min(options.get("targets", 9), classes - 1)
        return predictions + standing.clean * (steps * cost.attack)
    return predictions + exactly(steps * cost.attack)


def _autoattack(options: Mapping, classes: int, cost: Cost, standing: Standing) -> Range:
    settings = {**AUTOATTACK, **options}
    iterations, targets = settings["iterations"], min(settings["targets"], classes - 1)
    start = settings["restarts"] * (iterations + 1) * cost.attack
    targeted = start if classes < 4 else targets * (iterations + 1) * cost.attack
    # FAB takes a step with its gradient and one more forward pass an iteration.
    fab = targets * iterations * (cost.attack + 1.0)
    return standing.clean * start + standing.robust * (targeted + fab + settings["queries"])
