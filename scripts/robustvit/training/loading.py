"""From data sets to batches of tensors; worker processes never change what is in a batch."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from robustvit.core.memory import keep_freed_memory
from robustvit.core.seeding import derive_seed
from robustvit.data.augmentation import TrainTransform, augment_batch
from robustvit.data.decoding import EncodedImage
from robustvit.data.evaluation_images import load_batch
from robustvit.data.reading import TfdsImages
from robustvit.training.interruption import prepare_worker
from robustvit.training.sampling import REAL, SYNTHETIC, BatchSchedule, Key

CACHE_BYTES = 512 * 2**20
Loaded = tuple[Tensor, Tensor, Tensor]
"""Images [B, 3, H, W], labels int64 [B], seeds of the attack noise int64 [B].

Images are float32 in [0, 1], or uint8 (0–255) where a training has them like that on the way to its
device: a quarter of the bytes through pipes and buses.
"""


class TrainExamples(Dataset):
    """Augmented examples; the randomness of each depends on seed, epoch, id and copy only.

    Args:
        images: the data set.
        transform: augmentation of the recipe.
        seed: of the experiment.
        synthetic: the data set of the synthetic examples, if there are any.
    """

    def __init__(
        self,
        images: TfdsImages,
        transform: TrainTransform,
        seed: int,
        synthetic: TfdsImages | None = None,
    ) -> None:
        self.images, self.transform, self.seed = images, transform, seed
        self.sources = {REAL: images, SYNTHETIC: synthetic}

    def __getitems__(self, keys: list[Key]) -> Loaded:
        """Load a batch; with several views per image all first views go first.

        timm orders its split batches like this; MixUp, which mixes the batch with its reverse,
        then meets two views of one image at most once.
        """
        names = [self._name(key) for key in keys]
        augment_seeds = [derive_seed(self.seed, *name, "augment") for name in names]
        views = augment_batch(self.transform, self._load(keys), augment_seeds)
        labels = torch.tensor([int(self.sources[key.source].labels[key.index]) for key in keys])
        seeds = [
            derive_seed(self.seed, *name, "attack", view)
            for view in range(len(views))
            for name in names
        ]
        images = torch.cat(views) if len(views) > 1 else views[0]
        return images, labels.repeat(len(views)), torch.tensor(seeds)

    def _name(self, key: Key) -> tuple:
        """What the randomness of an example is derived from."""
        name = (key.epoch, self.sources[key.source].ids[key.index])
        copy = ("copy", key.copy) if key.copy else ()
        return name + copy + (("synthetic",) if key.source == SYNTHETIC else ())

    def _load(self, keys: list[Key]) -> list[np.ndarray | EncodedImage]:
        """Images in the order of the keys; each data set is asked once."""
        images: list = [None] * len(keys)
        for source, data in self.sources.items():
            places = [place for place, key in enumerate(keys) if key.source == source]
            found = data.undecoded([keys[place].index for place in places]) if places else []
            for place, image in zip(places, found, strict=True):
                images[place] = image
        return images


class EvaluationExamples(Dataset):
    """Examples as the evaluation sees them; their attack noise is the same every time.

    Args:
        images: the data set.
        spec: DATASET_READ with the evaluation's transform.
        seed: of the experiment.
    """

    def __init__(self, images: TfdsImages, spec: dict, seed: int) -> None:
        self.images, self.spec, self.seed = images, spec, seed

    def __getitems__(self, indices: list[int]) -> Loaded:
        """Load a batch by index."""
        seeds = [derive_seed(self.seed, self.images.ids[index], "evaluate") for index in indices]
        return *load_batch(self.images, self.spec, indices), torch.tensor(seeds)


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
        chosen = [int(index) for index in indices]
        starts = range(0, len(chosen), batch_size)
        self.batches = [chosen[start : start + batch_size] for start in starts]
        self._cache: list[Loaded] | None = None

    def __iter__(self) -> Iterator[Loaded]:
        if self._cache is not None:
            yield from self._cache
            return
        seen: list[Loaded] = []
        size = 0
        for batch in _loader(self.examples, self.batches, self.workers):
            size += batch[0].nbytes
            if size <= CACHE_BYTES:
                seen.append(batch)
            if len(seen) == len(self.batches):
                self._cache = seen
            yield batch


def _loader(examples: Dataset, batches: Iterable, workers: int) -> DataLoader:
    # An own generator, or the loader would draw from (and so advance) the global random state.
    # Workers come from a fresh process that has done the slow imports once and read no data: a
    # data set that was read before a fork crashes in the child.
    if workers:
        multiprocessing.set_forkserver_preload([__name__])
    return DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_as_loaded,
        generator=torch.Generator(),
        multiprocessing_context="forkserver" if workers else None,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def _start_worker(worker: int) -> None:
    keep_freed_memory()
    prepare_worker(worker)


def _as_loaded(batch: Loaded) -> Loaded:
    """Nothing is left to collate: the data sets load whole batches."""
    return batch
