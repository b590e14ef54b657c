"""Which attacks the fast engine runs for AutoAttack and for APGD-CE with restarts."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from robustvit.attacks.fast import losses
from robustvit.attacks.fast.apgd import APGD
from robustvit.attacks.fast.ensemble import Part
from robustvit.attacks.fast.fab import FAB
from robustvit.attacks.fast.progress import Plan
from robustvit.attacks.fast.square import Square

GRADIENT = 2.3  # cost of a pass with its gradient, in forward passes
PURSUIT = 1.7  # mean cost of FAB's passes, of which one in two has a gradient
BATCHES = 4  # searches that are in memory at a time, in batches
BYTES = 2 << 30  # and no more than that
COPIES = 24  # of an image that a search holds: measured up to 21 for FAB, 14 for APGD


def search_limit(images: Tensor, batch_size: int) -> int:
    """How many searches may run side by side for images [N, C, H, W]; no result depends on it."""
    bytes_each = COPIES * images[0].numel() * images.element_size()
    return max(1, min(BATCHES * batch_size, BYTES // bytes_each))


def standard(num_classes: int, epsilon: float, norm: str, settings: dict, limit: int) -> list[Part]:
    """List the attacks of standard AutoAttack in order.

    Args:
        num_classes: two or more.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        settings: "iterations", "queries", "targets" and "restarts".
        limit: most searches at a time.
    """
    iterations, queries, restarts = (settings[k] for k in ("iterations", "queries", "restarts"))
    targets = min(settings["targets"], num_classes - 1)
    ball = {"epsilon": epsilon, "norm": norm}
    steps = {"iterations": iterations, "limit": limit, **ball}
    fab = partial(FAB, pursuits=targets, **steps)
    square = partial(Square, queries=queries, limit=limit, **ball)
    return [
        apgd_ce("apgd-ce", epsilon, norm, settings, limit),
        _second(num_classes, steps, targets, restarts),
        Part(Plan("fab-t", 2 * iterations * targets, PURSUIT), 2, fab),
        Part(Plan("square", queries + 1, 1.0), 3, square),
    ]


def apgd_ce(name: str, epsilon: float, norm: str, settings: dict, limit: int) -> Part:
    """APGD on the cross-entropy; `settings` has "iterations" and "restarts"."""
    steps = {"iterations": settings["iterations"], "limit": limit}
    return _climb(name, 0, losses.cross_entropy, settings["restarts"],
                  {"epsilon": epsilon, "norm": norm, **steps})  # fmt: skip


def _second(num_classes: int, steps: dict, targets: int, restarts: int) -> Part:
    """The targeted attack, or what takes its place where its loss is not defined."""
    if num_classes == 2:
        return _climb("apgd-margin", 1, losses.negative_margin, restarts, steps)
    if num_classes == 3:
        return _climb("apgd-dlr", 1, losses.dlr, restarts, steps)
    return _climb("apgd-t", 1, losses.targeted_dlr, targets, steps)


def _climb(name: str, stream: int, measure: object, ascents: int, steps: dict) -> Part:
    plan = Plan(name, ascents * (steps["iterations"] + 1), GRADIENT)
    return Part(plan, stream, partial(APGD, measure=measure, ascents=ascents, **steps))
