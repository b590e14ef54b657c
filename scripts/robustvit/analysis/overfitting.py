"""Finding catastrophic overfitting (Wong et al. 2020): one step up, several steps down.

A model that is trained with a single-step attack may suddenly learn to defeat that attack alone.
Its accuracy under the training's attack then grows while that under more steps falls. Must import
nothing heavy: the report asks it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 4.0  # standard errors of a fall: the best of many noisy epochs is too good by 2 or 3 of them
LEAST_FALL = 0.05  # of the best accuracy; smaller falls are other effects
OWN_FALL = 0.25  # of the fall; when the weak attack takes more of it, both fall together
FOUND, NONE = "catastrophic overfitting", "no catastrophic overfitting"


def detect(
    epochs: Sequence[int], weak: Sequence[float], strong: Sequence[float], examples: int
) -> dict | None:
    """Say whether and when a training overfitted catastrophically.

    It did from the first epoch on at which accuracy under the strong attack is below its best so
    far by more than chance explains (and by 5 % of it), and the gap between both attacks has grown
    since that best epoch by more than chance explains (and by three quarters of the fall: where
    both accuracies fall together, that is ordinary overfitting). The next measurement has to show
    the same, unless there is none.

    Args:
        epochs: measured epochs, counted from 1, in order.
        weak: accuracy under the training's own attack, fractions.
        strong: accuracy under the stronger attack, on the same images.
        examples: number of images.

    Returns:
        {"verdict", "epoch" (of the first sign, or None), "last_sound_epoch" (the best before it),
        "weak_best", "strong_best", "weak_last", "strong_last", "last_epoch", "lasting" (whether it
        was still so at the end), "num_examples"}; None without measurements.
    """
    points = list(zip(epochs, weak, strong, strict=True))
    if not points:
        return None
    signs = [_sign(points[: place + 1], examples) for place in range(len(points))]
    confirmed = [
        sign and (place + 1 == len(signs) or signs[place + 1]) for place, sign in enumerate(signs)
    ]
    first = confirmed.index(True) if True in confirmed else None
    before = points if first is None else points[:first]
    best = max(before, key=lambda point: point[2])
    last = points[-1]
    return {
        "verdict": NONE if first is None else FOUND,
        "epoch": None if first is None else points[first][0],
        "last_sound_epoch": best[0],
        "weak_best": best[1],
        "strong_best": best[2],
        "weak_last": last[1],
        "strong_last": last[2],
        "last_epoch": last[0],
        "lasting": signs[-1],
        "num_examples": examples,
    }


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


def detect_in_metrics(rows: Sequence[dict]) -> dict | None:
    """`detect` on the rows of a training's metrics.csv; None if its recipe has no `watch`."""
    watched = [row for row in rows if isinstance(row.get("watch_strong_top1"), float)]
    if not watched:
        return None
    return detect(
        [int(row["epoch"]) + 1 for row in watched],
        [float(row["watch_weak_top1"]) for row in watched],
        [float(row["watch_strong_top1"]) for row in watched],
        int(watched[0]["watch_examples"]),
    )
