"""pyautoattack's FAB-T (Croce & Hein 2020b): the nearest adversarial example per target class."""

from __future__ import annotations

from collections.abc import Callable

from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from robustvit.attacks._apgd import LIBRARY_NORMS


class TargetedFAB(FABAttack_PT):
    """FAB-T with one start per target: with a single start it draws nothing at random."""

    def __init__(
        self,
        predict: Callable[[Tensor], Tensor],
        *,
        epsilon: float,
        norm: str,
        targets: int,
        iterations: int = 100,
    ) -> None:
        super().__init__(
            predict, eps=epsilon, norm=LIBRARY_NORMS[norm], n_restarts=1, n_iter=iterations,
            targeted=True, n_target_classes=targets, seed=0,
        )  # fmt: skip

    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return adversarial examples [B, 3, H, W]; the clean image where none was found."""
        return self.perturb(images, labels)
