"""What an attack hands to the evaluation, and what the evaluation lends to an attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Report = Callable[[float, str], None]
"""Called with the finished fraction in [0, 1] of an attack and a short note."""


@dataclass(frozen=True)
class AttackOutcome:
    """Result of one component attack on a batch.

    Attributes:
        adversarial: float32 [B, 3, H, W] in [0, 1]; the clean image where the attack did not run
            or found nothing.
        ran: bool [B]; False for examples that had already been broken before this attack.
        seconds: wall time of the attack on the whole batch.
        queries: int64 [B], forward passes that each example took; None if nobody counted.
    """

    adversarial: Tensor
    ran: Tensor
    seconds: float
    queries: Tensor | None = None


class Checkpoint(Protocol):
    """A place for the outcomes of finished component attacks, so that a killed job goes on."""

    def load(self, name: str) -> AttackOutcome | None:
        """Return what `save` got under `name`, or None."""

    def save(self, name: str, outcome: AttackOutcome) -> None:
        """Keep an outcome."""


def ignore_report(fraction: float, note: str = "") -> None:
    """A `Report` that reports to nobody."""
