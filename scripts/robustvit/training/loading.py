"""From data sets to batches of tensors; worker processes never change what is in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from robustvit.core.seeding import derive_seed
from robustvit.data.transforms import apply_seeded
from robustvit.training.interruption import ignore_interruptions
from robustvit.training.sampling import BatchSchedule, Key

CACHE_BYTES = 512 * 2**20
Sample = tuple[Tensor, int, int]


class Images(Protocol):
    """What the engine needs of a data set (`robustvit.data.reading.TfdsImages` is one)."""

    ids: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]: ...


class TrainExamples(Dataset):
    """Augmented examples by (epoch, index); their randomness depends on seed, epoch and id only."""

    def __init__(self, images: Images, transform: Callable, seed: int) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __getitem__(self, key: Key) -> list[Sample]:
        """Return (float32 [3, H, W] in [0, 1], label, seed of the attack noise) for each view."""
        epoch, index = key
        pixels, label = self.images[index]
        example = self.images.ids[index]
        augment_seed = derive_seed(self.seed, epoch, example, "augment")
        views = apply_seeded(self.transform, pixels, augment_seed)
        views = [views] if views.ndim == 3 else list(views)
        seeds = [derive_seed(self.seed, epoch, example, "attack", i) for i in range(len(views))]
        return [(view, label, seed) for view, seed in zip(views, seeds, strict=True)]


class EvaluationExamples(Dataset):
    """Examples by index; the seed of the attack noise is the same at every evaluation."""

    def __init__(self, images: Images, transform: Callable, seed: int) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __getitem__(self, index: int) -> list[Sample]:
        """Return (float32 [3, H, W] in [0, 1], label, seed of the attack noise)."""
        pixels, label = self.images[index]
        seed = derive_seed(self.seed, self.images.ids[index], "evaluate")
        return [(self.transform(pixels), label, seed)]


def collate(samples: Sequence[list[Sample]]) -> tuple[Tensor, Tensor, Tensor]:
    """Stack samples to images [B, 3, H, W], labels int64 [B] and seeds int64 [B]."""
    # View after view, as timm's split batches are: MixUp never pairs two views of one image then.
    flat = [sample for view in zip(*samples, strict=True) for sample in view]
    images, labels, seeds = zip(*flat, strict=True)
    return torch.stack(images), torch.tensor(labels), torch.tensor(seeds)


def train_loader(examples: TrainExamples, schedule: BatchSchedule, workers: int) -> DataLoader:
    """Load the batches of `schedule`, ahead of time if there are workers."""
    return _loader(examples, schedule, workers)


class EvaluationLoader:
    """Evaluation batches in a fixed order, kept in memory after the first pass if they are small.

    Args:
        examples: the data set.
        indices: which of its examples.
        batch_size: examples at a time; has no influence on results.
        workers: worker processes.
    """

    def __init__(
        self, examples: EvaluationExamples, indices: Sequence[int], batch_size: int, workers: int
    ) -> None:
        self.examples, self.workers = examples, workers
        pieces = range(0, len(indices), batch_size)
        chosen = [int(index) for index in np.asarray(indices)]
        self.batches = [chosen[start : start + batch_size] for start in pieces]
        self.count = len(chosen)
        self._cache: list[tuple[Tensor, Tensor, Tensor]] | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        if self._cache is not None:
            yield from self._cache
            return
        seen: list[tuple[Tensor, Tensor, Tensor]] = []
        size = 0
        for batch in _loader(self.examples, self.batches, self.workers):
            size += batch[0].nbytes
            if size <= CACHE_BYTES:
                seen.append(batch)
            yield batch
        self._cache = seen if len(seen) == len(self.batches) else None


def _loader(examples: Dataset, batches: object, workers: int) -> DataLoader:
    # An own generator, or the loader would draw from (and so advance) the global random state.
    # Workers are started afresh: a data set that was read before a fork crashes in the child.
    return DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator(),
        multiprocessing_context="forkserver" if workers else None,
        worker_init_fn=ignore_interruptions if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
