"""What an attack hands to the evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Report = Callable[[float, str], None]
"""Called with the finished fraction in [0, 1] of an attack and a short note."""


@dataclass(frozen=True)
class AttackOutcome:
    """Result of one component attack on a batch.

    Attributes:
        adversarial: float32 [B, 3, H, W] in [0, 1]; the clean image where the attack did not run
            or found nothing better.
        ran: bool [B]; False for examples that had already been broken before this attack.
        seconds: wall time of the attack on the whole batch.
    """

    adversarial: Tensor
    ran: Tensor
    seconds: float


def ignore_report(fraction: float, note: str = "") -> None:
    """A `Report` that reports to nobody."""
