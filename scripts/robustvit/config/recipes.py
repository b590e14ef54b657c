"""Checks of a recipe: every value is there, its plug-ins exist, and its parts go together."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.plugins import available, defines
from robustvit.training.schedules import total_epochs

ATTACKS, LOSSES = "robustvit.attacks", "robustvit.training.losses"
# Every value a recipe has to end up with, so that no default hides in the code.
RECIPE_KEYS = {
    "": "batch_size epochs cooldown_epochs label_smoothing drop_path normalization selection "
    "holdout_fraction ema_decay clip_grad_norm accumulation precision channels_last compile "
    "evaluate_every evaluate_examples max_train_examples keep_epochs watch",
    "optimizer": "name lr weight_decay layer_decay betas eps momentum nesterov",
    "schedule": "name warmup_epochs warmup_prefix warmup_lr min_lr decay_epochs decay_rate per",
    "augmentation": "crop scale ratio interpolation resizer padding hflip rotation "
    "color_jitter randaugment mixup cutmix mixup_prob mixup_switch_prob random_erasing views "
    "repeats",
    "loss": "name beta options",
    "attack": "name targeted steps step_factor step_size_255 random_start mode epsilon_schedule "
    "epsilon_warmup_epochs epsilon_zero_epochs step_schedule",
}
OWN_OPTIMIZERS = ("adamw", "sgd")


def check_recipe(where: str, recipe: Mapping) -> None:
    """Check a resolved recipe, or an experiment's own version of one.

    Args:
        where: path of the recipe in the configuration.
        recipe: with everything that it inherits.

    Raises:
        UserError: naming the key, with the nearest valid name where a name is unknown.
    """
    for group, keys in RECIPE_KEYS.items():
        values = recipe.get(group, {}) if group else recipe
        for key in keys.split():
            if key not in values:
                path = ".".join(part for part in (where, group, key) if part)
                raise UserError(f"{path}: is missing; set it or extend a recipe, `extends: base`.")
    check_plugin(LOSSES, recipe["loss"]["name"], f"{where}.loss")
    check_plugin(ATTACKS, recipe["attack"]["name"], f"{where}.attack")
    _check_kept(f"{where}.keep_epochs", recipe)
    _check_optimizer(f"{where}.optimizer.name", recipe["optimizer"]["name"])
    _check_decays(f"{where}.schedule.decay_epochs", recipe["schedule"])
    if recipe["loss"]["name"] != "clean":
        _check_attack(f"{where}.attack", recipe["attack"], recipe["loss"]["name"])


def check_plugin(package: str, name: str | None, where: str) -> None:
    """Check that a plug-in has its file; None names none.

    Raises:
        UserError: with the nearest plug-in that exists.
    """
    if name is not None and name not in available(package):
        raise unknown_name(f"plug-in of {package}", name, available(package), where)


def _check_kept(where: str, recipe: Mapping) -> None:
    kept, epochs = recipe["keep_epochs"], total_epochs(recipe)
    if isinstance(kept, list) and kept and max(kept) > epochs:
        raise UserError(
            f"{where}: epoch {max(kept)} is to be kept, but the training ends after {epochs}. "
            f"Example: [{max(epochs // 2, 1)}, {epochs}]"
        )


def _check_optimizer(where: str, name: str) -> None:
    if name not in OWN_OPTIMIZERS:
        # timm takes seconds to import: only recipes with one of its optimisers wait for it.
        from robustvit.training.optimizer import check_name

        check_name(name, where)


def _check_decays(where: str, schedule: Mapping) -> None:
    wanted = {"step": (int, float), "multistep": list}.get(schedule["name"])
    if wanted and not isinstance(schedule["decay_epochs"], wanted):
        example = "30" if schedule["name"] == "step" else "[30, 60, 90]"
        raise UserError(
            f"{where}: the schedule {schedule['name']} needs the epochs of its decays. "
            f"Example: {example}"
        )


def _check_attack(where: str, attack: Mapping, loss: str) -> None:
    name, steps = attack["name"], attack["steps"]
    if not defines(ATTACKS, name, "perturb"):
        known = [other for other in available(ATTACKS) if defines(ATTACKS, other, "perturb")]
        raise UserError(
            f"{where}.name: {name} can evaluate but not train; use one of {', '.join(known)}."
        )
    if name == "fgsm" and steps != 1:
        raise UserError(f"{where}.steps: fgsm takes 1 step, not {steps}; use pgd for more.")
    if attack["targeted"] and loss == "trades":
        raise UserError(
            f"{where}.targeted: TRADES moves images away from their clean prediction and has no "
            "target; set it to false, or use the loss adversarial."
        )
