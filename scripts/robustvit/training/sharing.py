"""Which examples of a global batch each process takes, so that their number changes no result.

A global batch is cut into parts (`recipe.accumulation`): BatchNorm takes its statistics over a
part, whoever computes it. Processes share the parts, or several processes share one part. Every
cut is symmetric about the middle of the batch: MixUp and CutMix mix image i with image B - 1 - i,
and such a pair is never separated, so each process can mix its own examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robustvit.core.errors import UserError


def symmetric_slice(size: int, index: int, count: int) -> np.ndarray:
    """Positions of slice `index` of `count` of a batch: a run from the front and its mirror image.

    Args:
        size: examples in the batch, a multiple of 2·count if count > 1.
    """
    if count == 1:
        return np.arange(size)
    half = size // (2 * count)
    front = np.arange(index * half, (index + 1) * half)
    return np.concatenate([front, size - 1 - front[::-1]])


@dataclass(frozen=True)
class Share:
    """The pieces of each global batch that one of several processes computes.

    Attributes:
        batch_size: the global batch.
        parts: parts of the global batch, each with its own BatchNorm statistics.
        rank, world_size: place of this process among all.
        together: every process takes a slice of every part (one program over many devices, as on
            a TPU); otherwise whole parts are dealt out as far as there are enough of them.

    Raises:
        UserError: if the batch cannot be cut like this.
    """

    batch_size: int
    parts: int = 1
    rank: int = 0
    world_size: int = 1
    together: bool = False

    def __post_init__(self) -> None:
        few, many = sorted((self.parts, self.world_size))
        if not self.together and many % few:
            raise UserError(
                f"recipe.accumulation {self.parts} and {self.world_size} processes do not fit: one "
                f"has to be a multiple of the other; use for instance {self.world_size} processes "
                f"with accumulation {self.world_size} or 1"
            )
        if self.slices > 1 and self.batch_size % (2 * self.slices):
            raise UserError(
                f"recipe.batch_size {self.batch_size} cannot be cut into {self.slices} equal slices"
                f" of pairs ({self.parts} parts by recipe.accumulation, {self.world_size} "
                f"processes); use a multiple of {2 * self.slices}, for instance "
                f"{2 * self.slices * max(1, self.batch_size // (2 * self.slices))}"
            )

    @property
    def sharing(self) -> int:
        """Processes that share one part."""
        return self.world_size if self.together else max(1, self.world_size // self.parts)

    @property
    def slices(self) -> int:
        """Slices of the batch in all."""
        return self.parts * self.sharing

    @property
    def pieces(self) -> int:
        """Slices that this process computes one after the other."""
        return self.slices // self.world_size

    @cached_property
    def slice_indices(self) -> list[int]:
        """The slices of this process, one a piece."""
        if self.together:
            return [part * self.sharing + self.rank for part in range(self.parts)]
        return list(range(self.rank * self.pieces, (self.rank + 1) * self.pieces))

    @cached_property
    def positions(self) -> np.ndarray:
        """Positions in the global batch of this process' examples, piece after piece."""
        chosen = [symmetric_slice(self.batch_size, i, self.slices) for i in self.slice_indices]
        return np.concatenate(chosen)

    def of(self, batches: Iterable[list]) -> ShareOfBatches:
        """The examples of this process out of every global batch."""
        return ShareOfBatches(batches, self.positions)


class ShareOfBatches:
    """An iterable of batches that takes the same positions from each; it keeps the length."""

    def __init__(self, batches: Iterable[list], positions: np.ndarray) -> None:
        self._batches, self._positions = batches, positions.tolist()

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list]:
        for batch in self._batches:
            yield [batch[position] for position in self._positions]
