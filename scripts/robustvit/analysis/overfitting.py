"""Finding catastrophic overfitting (Wong et al. 2020): one step up, several steps down.

A model that is trained with a single-step attack may suddenly learn to defeat that attack alone.
Its accuracy under the training's attack then grows while that under more steps falls. Must import
nothing heavy: the report asks it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Z = 4.0  # standard errors of a fall: the best of many noisy epochs is too good by 2 or 3 of them
LEAST_FALL = 0.05  # of the best accuracy; smaller falls are other effects
OWN_FALL = 0.25  # of the fall; when the weak attack takes more of it, both fall together
LARGE_GAP = 0.5  # of the accuracy under the weak attack; sound trainings lose less to more steps
BLIND = 0.5  # of the best accuracy; who can only see larger falls cannot say that there was none
STEP = 0.001  # to which the smallest detectable fall is known
FOUND, NONE = "catastrophic overfitting", "no catastrophic overfitting"
UNTOLD = "catastrophic overfitting cannot be told"


def detect(
    epochs: Sequence[int], weak: Sequence[float], strong: Sequence[float], examples: int,
    chance: float = 0.0,
) -> dict | None:  # fmt: skip
    """Say whether and when a training overfitted catastrophically.

    It did from the first epoch on at which accuracy under the strong attack is below its best so
    far by more than chance explains (and by 5 % of it), and the gap between both attacks has grown
    since that best epoch by more than chance explains (and by three quarters of the fall: where
    both accuracies fall together, that is ordinary overfitting). The next measurement has to show
    the same, unless there is none.

    It cannot be told if accuracy under the strong attack never rose above chance (who broke down
    before the first measurement shows no fall that means anything), or if nothing was found and
    only a fall of more than half of the best would have been.

    Args:
        epochs: measured epochs, counted from 1, in order.
        weak: accuracy under the training's own attack, fractions.
        strong: accuracy under the stronger attack, on the same images.
        examples: number of images.
        chance: accuracy of guessing, 0 where it is unknown.

    Returns:
        {"verdict", "epoch" (of the first sign, or None), "last_sound_epoch" (the best before it),
        "weak_best", "strong_best", "weak_last", "strong_last", "last_epoch", "lasting" (whether it
        was still so at the end), "num_examples", "above_chance" (whether the strong attack ever
        left more than guessing), "broken" (never, and much more under the weak attack: as after
        catastrophic overfitting), "detectable_fall" (the smallest from the best that would have
        been found, were the weak accuracy unchanged; None if none)}; None without measurements.
    """
    points = list(zip(epochs, weak, strong, strict=True))
    if not points:
        return None
    signs = [_sign(points[: place + 1], examples) for place in range(len(points))]
    confirmed = [
        sign and (place + 1 == len(signs) or signs[place + 1]) for place, sign in enumerate(signs)
    ]
    judged = _judge(True in confirmed, points, examples, chance)
    first = confirmed.index(True) if judged["verdict"] == FOUND else None
    before = points if first is None else points[:first]
    best = max(before, key=lambda point: point[2])
    last = points[-1]
    return {
        **judged,
        "epoch": None if first is None else points[first][0],
        "last_sound_epoch": best[0],
        "weak_best": best[1],
        "strong_best": best[2],
        "weak_last": last[1],
        "strong_last": last[2],
        "last_epoch": last[0],
        "lasting": first is not None and signs[-1],
        "num_examples": examples,
    }


def _judge(found: bool, points: Sequence[tuple], examples: int, chance: float) -> dict:
    """The verdict, and what it is worth."""
    _, weak, strong = points[-1]
    best = max(points, key=lambda point: point[2])
    above = best[2] - chance > Z * math.sqrt(best[2] * (1 - best[2]) / examples)
    least = _detectable(best, examples)
    told = above and least is not None and least <= BLIND * best[2]
    large = max(LARGE_GAP * weak, math.hypot(*[_noise(weak, strong, examples)] * 2))
    return {
        "verdict": FOUND if found and above else NONE if told else UNTOLD,
        "above_chance": above,
        "broken": not above and weak - strong > large,
        "detectable_fall": least,
    }


def _detectable(best: tuple[int, float, float], examples: int) -> float | None:
    """The smallest fall from the best point that is a sign if the weak accuracy stays."""
    epoch, weak, strong = best
    for step in range(1, round(strong / STEP) + 1):
        fall = min(step * STEP, strong)
        if _sign([best, (epoch + 1, weak, strong - fall)], examples):
            return fall
    return None


def _sign(points: Sequence[tuple[int, float, float]], examples: int) -> bool:
    """Whether the last of these points looks like it, seen from the best before it."""
    best = max(points, key=lambda point: point[2])
    _, weak, strong = points[-1]
    fall, grown = best[2] - strong, (weak - strong) - (best[1] - best[2])
    alone, own = _noise(best[2], strong, examples), _noise(best[1], weak, examples)
    return (
        fall > max(alone, LEAST_FALL * best[2])
        and grown > math.hypot(alone, own)
        and grown > (1 - OWN_FALL) * fall
    )


def _noise(one: float, other: float, examples: int) -> float:
    """What two shares may differ by; as if on different images, which is more than on the same."""
    return Z * math.sqrt((one * (1 - one) + other * (1 - other)) / examples)


def detect_in_metrics(rows: Sequence[dict], chance: float = 0.0) -> dict | None:
    """`detect` on the rows of a training's metrics.csv; None if its recipe has no `watch`."""
    watched = [row for row in rows if isinstance(row.get("watch_strong_top1"), float)]
    if not watched:
        return None
    return detect(
        [int(row["epoch"]) + 1 for row in watched],
        [float(row["watch_weak_top1"]) for row in watched],
        [float(row["watch_strong_top1"]) for row in watched],
        int(watched[0]["watch_examples"]),
        chance,
    )


def detect_in_training(trained: Mapping) -> dict | None:
    """`detect_in_metrics` on {"config": config.yaml, "metrics": rows}, with chance 1/classes."""
    classes = (trained["config"].get("dataset") or {}).get("num_classes")
    return detect_in_metrics(trained["metrics"], 1 / classes if classes else 0.0)
