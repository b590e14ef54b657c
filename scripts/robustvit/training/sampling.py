"""Which example is used when: a function of the seed and the epoch, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robustvit.core.errors import UserError
from robustvit.core.seeding import derive_seed

Key = tuple[int, int]
"""(epoch, index of the example in its data set)."""


def count_steps(examples: int, batch_size: int) -> int:
    """Steps per epoch; the last incomplete batch is left out, as in timm.

    Raises:
        UserError: if there is not one full batch.
    """
    if examples < batch_size:
        raise UserError(
            f"recipe.batch_size {batch_size} is larger than the training set of {examples} "
            f"examples; use at most {examples}"
        )
    return examples // batch_size


class BatchSchedule:
    """The batches of a whole run, from any step on.

    Args:
        indices: the training examples, as indices into their data set.
        batch_size: global batch.
        epochs: epochs in all.
        seed: of the experiment.
        start: number of steps that are already done.
    """

    def __init__(
        self, indices: Sequence[int], batch_size: int, epochs: int, seed: int, start: int = 0
    ) -> None:
        self.indices = np.asarray(indices)
        self.batch_size, self.epochs, self.seed, self.start = batch_size, epochs, seed, start
        self.steps_per_epoch = count_steps(len(self.indices), batch_size)

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch - self.start

    def __iter__(self) -> Iterator[list[Key]]:
        first_epoch, first_step = divmod(self.start, self.steps_per_epoch)
        for epoch in range(first_epoch, self.epochs):
            order = self.order(epoch)
            for step in range(first_step, self.steps_per_epoch):
                chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield [(epoch, int(index)) for index in chosen]
            first_step = 0

    def order(self, epoch: int) -> np.ndarray:
        """The examples in the order of `epoch`."""
        generator = np.random.default_rng(derive_seed(self.seed, epoch, "order"))
        return self.indices[generator.permutation(len(self.indices))]


def split_holdout(
    indices: Sequence[int], ids: Sequence[str], fraction: float, dataset: str
) -> tuple[np.ndarray, np.ndarray]:
    """Set a part of the training examples aside for model selection.

    Which examples depends on their ids and the data set's name only, so that all experiments on
    a data set share one held-out part, whatever their seeds.

    Args:
        indices: the examples to split, as indices into the data set.
        ids: stable ids of all examples of the data set.
        fraction: share to hold out, in (0, 1).
        dataset: name of the data set.

    Returns:
        Indices to train on and held-out indices, both sorted.

    Raises:
        UserError: if one of the two parts would be empty.
    """
    indices = np.sort(np.asarray(indices))
    count = round(len(indices) * fraction)
    if not 0 < count < len(indices):
        raise UserError(
            f"recipe.holdout_fraction: {fraction} of {len(indices)} examples leaves a part empty; "
            'with `selection: holdout` use for instance 0.1, or choose `selection: "last"`'
        )
    ranks = [derive_seed("holdout", dataset, ids[index]) for index in indices]
    order = np.argsort(np.asarray(ranks, dtype=np.uint64), kind="stable")
    held_out = np.zeros(len(indices), dtype=bool)
    held_out[order[:count]] = True
    return indices[~held_out], indices[held_out]
