"""This project's loader, as a training and an evaluation use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from robustvit.benchmarks.loading import BASE
from robustvit.core.memory import keep_freed_memory
from robustvit.data.augmentation import train_transform
from robustvit.data.reading import TfdsImages
from robustvit.training.loading import EvaluationExamples, TrainExamples, train_loader
from robustvit.training.sampling import BatchSchedule

SPEC = {
    "name": "generated", "split": "train", "num_classes": 2, "image_size": 224,
    "crop_pct": 0.875, "interpolation": "bicubic", "num_examples": None, "stand_in": True,
}  # fmt: skip


def batches(folder: Path, transform: str, batch_size: int, **options: object) -> Iterator[int]:
    """Yield the number of images of each batch; `options` replace keys of the augmentation."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as data workers do
    images = TfdsImages(folder / "tfds" / "manifest.json", SPEC)
    if transform == "train":
        augmentation = {**BASE, "color_jitter": None, **options}
        examples = TrainExamples(images, train_transform(augmentation, 224), seed=0)
        schedule = BatchSchedule(range(len(images)), batch_size, epochs=10**6, seed=0)
        yield from (len(batch[0]) for batch in train_loader(examples, schedule, workers=0))
    evaluation = EvaluationExamples(images, SPEC, seed=0)
    while True:
        for start in range(0, len(images) - batch_size + 1, batch_size):
            indices = list(range(start, start + batch_size))
            yield len(evaluation.__getitems__(indices)[0])
