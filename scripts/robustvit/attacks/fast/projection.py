"""Moving points of the unit cube onto hyperplanes by the shortest way, without sorting.

The shortest displacement that brings t ∈ [0, 1]^D onto {z : w·z = b} within the cube moves every
coordinate towards the plane at its own pace until it hits a side of the cube (FAB, Croce & Hein
2020b, section 3). How much nearer the plane comes is an increasing, concave, piecewise linear
function of one number, the way λ. Newton's method from the left solves such an equation exactly
in a few passes: once the coordinates that have hit a side are known, λ is a quotient of two sums,
and a pass can only add to them. `pyautoattack` sorts the breakpoints instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

NO_NORMAL = 1e-8  # components of w below this stay where they are under L2, as in pyautoattack
FARTHEST = 1e12  # stands for infinity, so that times zero it is zero
HUGE = 1e25  # makes any difference of two floats in use larger than one


def displacement(points: Tensor, normal: Tensor, gap: Tensor, norm: str) -> Tensor:
    """Return the shortest displacements onto hyperplanes, or into the nearest corner of the cube.

    Args:
        points: t, float32 [..., B, D] in [0, 1].
        normal: w, float32 [B, D], the same for all leading dimensions of `points`.
        gap: w·t − b, float32 [..., B].
        norm: "linf" or "l2", in which the displacement is shortest.

    Returns:
        float32 [..., B, D]; zero where `normal` is.
    """
    weight, towards = normal.abs(), normal.sign() * gap.sign().neg_()[..., None]
    room = torch.addcmul(towards.clamp(min=0.0), towards, points, value=-1.0)
    need = gap.abs()[..., None]
    if norm == "linf":
        way = _way(room, weight, weight * room, need)
        return torch.minimum(room, way, out=room).mul_(towards)
    weight = weight * (weight >= NO_NORMAL)
    # Where the weight is zero the quotient has no meaning, and neither has any use of it.
    breaks = (room / weight).nan_to_num_(nan=FARTHEST, posinf=FARTHEST)
    way = _way(breaks, weight.square(), weight * room, need)
    return torch.minimum(room, way * weight, out=room).mul_(towards)


def _way(breaks: Tensor, slope: Tensor, full: Tensor, need: Tensor) -> Tensor:
    """Solve Σ min(λ · slope, full) = need for the smallest λ ≥ 0, [..., B, 1].

    Args:
        breaks: where the terms reach `full`, [..., B, D]; without meaning where `slope` is zero.
        slope: at least zero, [B, D].
        full: at least zero, [..., B, D].
        need: [..., B, 1].
    """
    # Ones and zeros instead of a mask: on the CPU arithmetic is several times faster than `where`.
    free = _step(breaks)
    count = free.sum(-1, keepdim=True)
    while True:
        left = (slope * free).sum(-1, keepdim=True)
        covered = torch.addcmul(full, full, free, value=-1.0).sum(-1, keepdim=True)
        way = ((need - covered).clamp_(min=0.0) / left).nan_to_num_(FARTHEST, FARTHEST)
        free *= _step(breaks - way)
        before, count = count, free.sum(-1, keepdim=True)
        # A row that is solved stays as it is: its result does not depend on the others.
        if torch.equal(before, count):
            return way


def _step(values: Tensor) -> Tensor:
    """1 where `values` are positive, 0 elsewhere."""
    return (values * HUGE).clamp_(0.0, 1.0)
