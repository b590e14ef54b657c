"""Watching how far an attack of another library is, by counting its calls of the model."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from robustvit.attacks._forward import forward
from robustvit.attacks.support.outcome import Report


class Watch:
    """A callable model that reports how much of an attack's expected work is done.

    Work is counted in forward passes of an image; one with a backward pass counts as three. What
    is ahead depends on how many examples still stand, so it is estimated anew with every attack.

    Args:
        model: the model that is called.
        report: gets the finished fraction, at most every hundredth.
    """

    def __init__(self, model: nn.Module, report: Report) -> None:
        self.model, self.report = model, report
        self.done, self.note = 0.0, ""
        self._total, self._limit, self._cost, self._shown = 1.0, 0.0, 1.0, 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W] in float32."""
        # An attack that takes longer than expected does not eat into the next ones' work.
        self.done = min(self.done + self._cost * len(images), self._limit)
        self._show()
        return forward(self.model, images).float()

    def begin(self, note: str, cost: float, work: float, later: float) -> None:
        """Say what runs next.

        Args:
            note: for the reader.
            cost: of a call with one image.
            work: of all that runs next, if nobody else is broken.
            later: work of what comes after it, likewise.
        """
        self.note, self._cost = note, cost
        self._limit, self._total = self.done + work, self.done + work + later
        self._show()

    def finish(self) -> None:
        """Say that nothing is left."""
        self.done = self._total
        self._show()

    def _show(self) -> None:
        fraction = self.done / self._total if self._total > 0 else 1.0
        if fraction - self._shown >= 0.01 or fraction >= 1.0 > self._shown:
            self._shown = fraction
            self.report(fraction, self.note)


class Counted:
    """A callable that knows how often it was called.

    Args:
        predict: maps pixels to logits.
    """

    def __init__(self, predict: Callable[[Tensor], Tensor]) -> None:
        self.predict, self.calls = predict, 0

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W]."""
        self.calls += 1
        return self.predict(images)
