"""Whether a training step ever waits for its batch."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from robustvit.benchmarks.loading import BASE
from robustvit.benchmarks.readers.project import SPEC
from robustvit.data.augmentation import train_transform
from robustvit.data.reading import TfdsImages
from robustvit.training.loading import TrainExamples, train_loader
from robustvit.training.sampling import BatchSchedule


@dataclass(frozen=True)
class Waiting:
    """What a loop of steps waited for its batches.

    Attributes:
        step: seconds that a step took.
        least, median, longest: seconds that a step waited for its batch, the first few left out.
        share: of the whole time.
    """

    step: float
    least: float
    median: float
    longest: float
    share: float


def waiting(
    manifest: Path, step: float, workers: int, batch_size: int = 32, steps: int = 40, skip: int = 5
) -> Waiting:
    """Take steps that do nothing for `step` seconds each, with data workers loading meanwhile.

    Args:
        manifest: of a set written by `layouts.write_layouts`, whose images are decoded each time.
        step: seconds, as an accelerator would take; no CPU is used.
        workers: data workers.
        steps: how many are looked at, after the first `skip`.
    """
    images = TfdsImages(manifest, SPEC)
    examples = TrainExamples(images, train_transform({**BASE, "color_jitter": None}, 224), seed=0)
    per_epoch = len(images) // batch_size
    epochs = -(-(steps + skip) // per_epoch)
    schedule = BatchSchedule(range(len(images)), batch_size, epochs, seed=0)
    batches = iter(train_loader(examples, schedule, workers))
    waited = []
    for _ in range(steps + skip):
        started = time.perf_counter()
        next(batches)
        waited.append(time.perf_counter() - started)
        time.sleep(step)
    late = waited[skip:]
    share = sum(late) / (sum(late) + step * len(late))
    return Waiting(step, min(late), statistics.median(late), max(late), share)
