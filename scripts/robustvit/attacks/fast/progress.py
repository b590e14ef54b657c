"""Progress that knows who still stands."""

from __future__ import annotations

from dataclasses import dataclass

from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.rows import Findings
from robustvit.attacks.support.outcome import Report

EVERY = 20  # calls of the model between two looks: a look waits for the device


@dataclass(frozen=True)
class Plan:
    """What an attack does to an example that withstands it.

    Attributes:
        name: of the attack.
        passes: of the model.
        cost: of a pass, in forward passes.
    """

    name: str
    passes: int
    cost: float

    @property
    def work(self) -> float:
        """In forward passes."""
        return self.passes * self.cost


class Meter:
    """Reports the finished fraction of the work that is left if nobody else is broken.

    Args:
        plans: of the attacks, in order.
        report: gets the fraction, at most every hundredth.
    """

    def __init__(self, plans: list[Plan], report: Report) -> None:
        self._plans, self._report = plans, report
        self._current, self._done, self._shown, self._calls = 0, 0.0, 0.0, 0
        self._found: Findings | None = None
        self._network: Network | None = None

    def begin(self, current: int, found: Findings, network: Network) -> None:
        """Say that the attack of plan number `current` runs now."""
        self._current, self._found, self._network = current, found, network

    def tick(self) -> None:
        """Note one call of the model."""
        self._calls += 1
        if self._calls % EVERY == 0:
            self._look()

    def finish(self, current: int, standing: int) -> None:
        """Say that the attack of plan number `current` is finished and how many stand."""
        if self._found is not None:
            self._done += int(self._network.passes.sum()) * self._plans[current].cost
        self._found = None
        self._tell(self._done, self._later(current) * standing, current, standing)

    def _look(self) -> None:
        if self._found is None:
            return
        plan, passes, stand = self._plans[self._current], self._network.passes, self._found.standing
        standing = int(stand.sum())
        left = max(standing * plan.passes - int(passes[stand].sum()), 0) * plan.cost
        left += self._later(self._current) * standing
        self._tell(self._done + int(passes.sum()) * plan.cost, left, self._current, standing)

    def _later(self, current: int) -> float:
        return sum(plan.work for plan in self._plans[current + 1 :])

    def _tell(self, done: float, left: float, current: int, standing: int) -> None:
        fraction = done / (done + left) if left else float(current == len(self._plans) - 1)
        if fraction - self._shown >= 0.01 or self._shown < fraction == 1.0:
            self._shown = fraction
            self._report(fraction, f"{self._plans[current].name}, {standing} stand")
