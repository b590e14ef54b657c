"""pyautoattack's FAB-T (Croce & Hein 2020b): the nearest adversarial example per target class."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from robustvit.attacks._apgd import LIBRARY_NORMS
from robustvit.attacks._watching import Counted


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
        self.counted = Counted(predict)
        super().__init__(
            self.counted, eps=epsilon, norm=LIBRARY_NORMS[norm], n_restarts=1, n_iter=iterations,
            targeted=True, n_target_classes=targets, seed=0,
        )  # fmt: skip

    @torch.no_grad()
    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return adversarial examples [B, 3, H, W]; the clean image where none was found.

        The library's `perturb`, which does not tell how many passes an example took: they are in
        `passes`, int64 [B], afterwards.
        """
        adversarial, self.passes = images.clone(), torch.zeros_like(labels)
        standing = torch.ones_like(labels, dtype=torch.bool)
        for rank in range(2, self.n_target_classes + 2):
            chosen = standing.nonzero().flatten()
            if chosen.numel() == 0:
                break
            self.target_class, before = rank, self.counted.calls
            found = self.attack_single_run(images[chosen], labels[chosen], is_targeted=True)
            wrong = self.counted(found).argmax(dim=1) != labels[chosen]
            self.passes[chosen] += self.counted.calls - before
            broken = wrong & (self._distance(found, images[chosen]) <= self.eps)
            adversarial[chosen[broken]] = found[broken]
            standing[chosen[broken]] = False
        return adversarial

    def _distance(self, found: Tensor, images: Tensor) -> Tensor:
        delta = (found - images).flatten(1)
        if self.norm == "Linf":
            return delta.abs().amax(dim=1)
        return delta.square().sum(dim=1).sqrt()
