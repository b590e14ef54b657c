"""Which example is used when: a function of the seed and the epoch, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robustvit.core.errors import UserError
from robustvit.core.seeding import derive_seed

REAL, SYNTHETIC = 0, 1


class Key(NamedTuple):
    """One example of a batch: all that its loading depends on, beside the experiment.

    Attributes:
        epoch: from 0 on.
        index: place in its data set.
        copy: 0, or which repetition of the example this is (repeated augmentation).
        source: `REAL` or `SYNTHETIC`.
    """

    epoch: int
    index: int
    copy: int = 0
    source: int = REAL


@dataclass(frozen=True)
class Synthetic:
    """Synthetic examples that are mixed into every batch.

    Attributes:
        examples: size of their data set.
        ratio: their share of each batch, in (0, 1).
    """

    examples: int
    ratio: float


def count_steps(
    examples: int, batch_size: int, taken: int | None = None, of: str = "the training set"
) -> int:
    """Steps per epoch; the last incomplete batch is left out, as in timm.

    Args:
        examples: size of a data set.
        batch_size: global batch.
        taken: how many of the batch's examples are of this data set; None for all.
        of: what the data set is called in the message.

    Raises:
        UserError: if there is not one full batch.
    """
    taken = taken or batch_size
    if examples < taken:
        raise UserError(
            f"recipe.batch_size {batch_size} takes {taken} examples of {of}, which has only "
            f"{examples}; use at most {examples * batch_size // taken}"
        )
    return examples // taken


def synthetic_positions(batch_size: int, ratio: float) -> np.ndarray:
    """Which positions of a batch are synthetic: round(ratio · batch_size), spread evenly.

    Every cut of a batch that is symmetric about its middle has an equal share (to within one
    example): the positions are dealt out along 0, B - 1, 1, B - 2, … With half of the batch
    synthetic, the first half is real and the second synthetic, as in the released code.

    Returns:
        bool [batch_size].

    Raises:
        UserError: if the batch would be all real or all synthetic.
    """
    count = round(ratio * batch_size)
    if not 0 < count < batch_size:
        raise UserError(
            f"synthetic.ratio: {ratio:g} of a batch of {batch_size} is {count} images; expected at "
            "least one synthetic and one real image. Example: 0.5"
        )
    outside_in = np.empty(batch_size, np.int64)
    outside_in[::2] = np.arange((batch_size + 1) // 2)
    outside_in[1::2] = batch_size - 1 - np.arange(batch_size // 2)
    chosen = np.zeros(batch_size, bool)
    chosen[outside_in] = np.diff(np.arange(batch_size + 1) * count // batch_size) == 1
    return chosen


class BatchSchedule:
    """The batches of a whole run, from any step on.

    An epoch is as long as the shorter of the two sources lasts. With `repeats` each example comes
    that many times in a row, and the epoch keeps its length (timm's RepeatAugSampler; Hoffer et
    al. 2020), so that it sees that much fewer different examples.

    Args:
        indices: the training examples, as indices into their data set.
        batch_size: global batch.
        epochs: epochs in all.
        seed: of the experiment.
        start: number of steps that are already done.
        repeats: occurrences of an example in a row.
        synthetic: what is mixed in, if anything.

    Raises:
        UserError: if there is not one full batch.
    """

    def __init__(
        self,
        indices: Sequence[int],
        batch_size: int,
        epochs: int,
        seed: int,
        start: int = 0,
        repeats: int = 1,
        synthetic: Synthetic | None = None,
    ) -> None:
        self.indices = np.asarray(indices)
        self.batch_size, self.epochs, self.seed, self.start = batch_size, epochs, seed, start
        self.repeats, self.synthetic = repeats, synthetic
        self.sources = [REAL] * batch_size
        if synthetic is not None:
            self.sources = synthetic_positions(batch_size, synthetic.ratio).astype(int).tolist()
        self.steps_per_epoch = self._count_steps()

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch - self.start

    def __iter__(self) -> Iterator[list[Key]]:
        first_epoch, first_step = divmod(self.start, self.steps_per_epoch)
        for epoch in range(first_epoch, self.epochs):
            streams = [self._stream(epoch, source, first_step) for source in (REAL, SYNTHETIC)]
            for _ in range(first_step, self.steps_per_epoch):
                yield [next(streams[source]) for source in self.sources]
            first_step = 0

    def order(self, epoch: int, source: int = REAL) -> np.ndarray:
        """The different examples of a source in the order of `epoch`."""
        if source == REAL:
            generator = np.random.default_rng(derive_seed(self.seed, epoch, "order"))
            return self.indices[generator.permutation(len(self.indices))]
        generator = np.random.default_rng(derive_seed(self.seed, epoch, "order", "synthetic"))
        return generator.permutation(self.synthetic.examples)

    def _stream(self, epoch: int, source: int, step: int) -> Iterator[Key]:
        """The examples of a source from `step` of an epoch on, in the order of their use."""
        order = self.order(epoch, source)
        for place in range(step * self.sources.count(source), len(order)):
            yield Key(epoch, int(order[place // self.repeats]), place % self.repeats, source)

    def _count_steps(self) -> int:
        real, synthetic = self.sources.count(REAL), self.sources.count(SYNTHETIC)
        steps = count_steps(len(self.indices), self.batch_size, real)
        if self.synthetic is None:
            return steps
        of = "the synthetic images"
        return min(steps, count_steps(self.synthetic.examples, self.batch_size, synthetic, of))


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
