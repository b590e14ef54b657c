"""AutoAttack under the keywords with which RobustBench calls it."""

from __future__ import annotations

from pathlib import Path

import pyautoattack
from torch import Tensor


class AutoAttack(pyautoattack.AutoAttack):
    """`pyautoattack.AutoAttack` as `robustbench.benchmark` expects it.

    Attributes:
        fixed_seed: seed of every batch; None for the clock, the library's default.
        iterations, queries, targets: less than the standard version, for tests; None for it.
    """

    fixed_seed: int | None = None
    iterations: int | None = None
    queries: int | None = None
    targets: int | None = None

    def __init__(
        self,
        model: object,
        norm: str,
        eps: float,
        version: str = "standard",
        device: object = "cpu",
        log_path: str | None = None,
    ) -> None:
        super().__init__(
            model, norm=norm, eps=eps, version=version, device=device, seed=self.fixed_seed
        )
        for attack in (self.apgd, self.apgd_targeted, self.fab):
            attack.n_iter = self.iterations or attack.n_iter
        for attack in (self.apgd_targeted, self.fab):
            attack.n_target_classes = self.targets or attack.n_target_classes
        self.square.n_queries = self.queries or self.square.n_queries

    def run_standard_evaluation(
        self, x_orig: Tensor, y_orig: Tensor, bs: int = 250, state_path: Path | None = None
    ) -> Tensor:
        """Return the adversarial images alone, as the package of the other name did."""
        return super().run_standard_evaluation(
            x_orig, y_orig, batch_size=bs, state_path=state_path
        )[0]
