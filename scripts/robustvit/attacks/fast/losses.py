"""Losses that APGD raises; all are called with logits [R, K], labels and targets, int64 [R]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from robustvit.attacks._apgd import margin


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the label, [R]."""
    return F.cross_entropy(logits, labels, reduction="none")


def negative_margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Largest other logit minus that of the label, [R]: takes DLR's place for two classes."""
    return -margin(logits, labels)


def dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Difference of logits ratio (Croce & Hein 2020, eq. 6), [R], for three classes or more."""
    top = logits.topk(3, dim=1)
    own = logits.gather(1, labels[:, None])[:, 0]
    other = torch.where(top.indices[:, 0] == labels, top.values[:, 1], top.values[:, 0])
    return (other - own) / (top.values[:, 0] - top.values[:, 2] + 1e-12)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted difference of logits ratio (eq. 7), [R], for four classes or more."""
    top = logits.topk(4, dim=1).values
    own = logits.gather(1, labels[:, None])[:, 0]
    other = logits.gather(1, targets[:, None])[:, 0]
    return (other - own) / (top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + 1e-12)
