"""Learning rate and ε as functions of the epoch, in closed form.

The formulas are those of timm's schedulers and of the released code's ε schedules; the paper has
one value an epoch and a warm-up within the schedule's epochs. `time` is the epoch index from 0 on;
with `schedule.per: step` it is the exact fraction, step / steps per epoch.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping

from robustvit.core.errors import UserError, unknown_name

EPSILON_SCHEDULES = ("constant", "linear", "sine")


def kept_epochs(recipe: Mapping, epochs: int) -> list[int]:
    """Epochs after which the weights are kept, counted from 1.

    Args:
        recipe: its `keep_epochs` is null, a number n (after every n-th epoch) or a list.
        epochs: of the training in all.

    Raises:
        UserError: for an epoch that the training does not have.
    """
    kept = recipe.get("keep_epochs") or []
    if isinstance(kept, int):
        return list(range(kept, epochs + 1, kept))
    if kept and not 1 <= min(kept) <= max(kept) <= epochs:
        raise UserError(
            f"recipe.keep_epochs: {', '.join(map(str, kept))}, but the training has the epochs 1 "
            f"to {epochs}. Example: [{max(epochs // 2, 1)}, {epochs}]"
        )
    return sorted(set(kept))


def total_epochs(recipe: dict) -> int:
    """Epochs in all, with a warm-up that is prefixed.

    timm adds the cool-down to the cosine schedule only.
    """
    schedule = recipe["schedule"]
    cooldown = (recipe.get("cooldown_epochs") or 0) if schedule["name"] == "cosine" else 0
    return recipe["epochs"] + cooldown + math.ceil(_prefix(schedule))


def _prefix(schedule: dict) -> float:
    """Epochs of warm-up that come before those of the schedule."""
    return (schedule.get("warmup_epochs") or 0) if schedule.get("warmup_prefix") else 0


def schedule_time(recipe: dict, step: int, steps_per_epoch: int) -> float:
    """Time of optimiser step `step` (from 0 on) in epochs."""
    if recipe["schedule"].get("per", "epoch") == "step":
        return step / steps_per_epoch
    return step // steps_per_epoch


def learning_rate(recipe: dict, time: float) -> float:
    """Learning rate at `time` epochs.

    Raises:
        UserError: for an unknown schedule.
    """
    schedule, peak = recipe["schedule"], recipe["optimizer"]["lr"]
    warmup = schedule.get("warmup_epochs") or 0
    if time < warmup:
        start = schedule.get("warmup_lr") or 0.0
        return start + time * (peak - start) / warmup
    time -= _prefix(schedule)
    if schedule["name"] == "cosine":
        low = schedule.get("min_lr") or 0.0
        if time >= recipe["epochs"]:
            return low
        return low + 0.5 * (peak - low) * (1 + math.cos(math.pi * time / recipe["epochs"]))
    return peak * schedule["decay_rate"] ** _decays(schedule, time)


def _decays(schedule: dict, time: float) -> int:
    if schedule["name"] == "step":
        return int(time // schedule["decay_epochs"])
    if schedule["name"] == "multistep":
        # timm compares with t + 1: with one value an epoch, milestone m counts from epoch m - 1 on.
        # With one value a step it counts from m itself, one step later than timm's.
        early = 0 if schedule.get("per") == "step" else 1
        return bisect.bisect_right(sorted(schedule["decay_epochs"]), time + early)
    raise unknown_name(
        "schedule", schedule["name"], ("cosine", "step", "multistep"), "recipe.schedule.name"
    )


def epsilon_fraction(attack: dict, time: float) -> float:
    """ε at `time` epochs as a fraction of the final ε.

    linear: 0 for the first `epsilon_zero_epochs`, then (time - zero) / period, and 1 from the
    period (`epsilon_warmup_epochs`) on; sine: the same edges with half a sine wave between. A
    period of 0 means no warm-up; the constant schedule knows neither of the two.

    Raises:
        UserError: for an unknown schedule.
    """
    name = attack.get("epsilon_schedule") or "constant"
    period, zero = attack.get("epsilon_warmup_epochs") or 0, attack.get("epsilon_zero_epochs") or 0
    if name not in EPSILON_SCHEDULES:
        raise unknown_name("schedule", name, EPSILON_SCHEDULES, "recipe.attack.epsilon_schedule")
    if name == "constant":
        return 1.0
    if time < zero:  # before the period is asked for: the released code does the same
        return 0.0
    if time >= period:
        return 1.0
    share = (time - zero) / period
    return share if name == "linear" else 0.5 * (1 + math.sin(math.pi * (share - 0.5)))
