"""How fast training batches are loaded: decoded, augmented and put together."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from robustvit.data.augmentation import train_transform
from robustvit.data.building import DatasetPlan, Example
from robustvit.data.reading import TfdsImages
from robustvit.data.writing import write_dataset
from robustvit.training.loading import TrainExamples, train_loader
from robustvit.training.sampling import BatchSchedule

CLASSES = ["even", "odd"]
BASE = {
    "crop": "random_resized", "scale": [0.08, 1.0], "ratio": [0.75, 4 / 3],
    "interpolation": "bicubic", "padding": 4, "hflip": 0.5, "rotation": 0, "color_jitter": 0.4,
    "randaugment": None, "mixup": 0.0, "cutmix": 0.0, "mixup_prob": 1.0, "mixup_switch_prob": 0.5,
    "random_erasing": 0.0, "views": 1, "repeats": 1,
}  # fmt: skip
AUGMENTATIONS = {
    "light": {},
    "canonical": {"randaugment": "rand-m9-mstd0.5-inc1", "random_erasing": 0.25},
}
# What images of a data set measure, in pixels, and what is made of them.
SOURCES = {32: (32, 32, "png"), 224: (500, 375, "jpeg")}


def loading_speeds(images: int, seconds: float, batch_size: int = 64) -> list[dict]:
    """Measure images per second of one core.

    Args:
        images: how many are generated; they are read again and again.
        seconds: about how long each kind is measured.
        batch_size: images at a time.

    Returns:
        A row {"pixels", "augmentation", "images_per_second"} each.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for pixels in SOURCES:
            manifest = write_images(Path(folder) / str(pixels), pixels, images)
            for name, changes in AUGMENTATIONS.items():
                examples = _examples(manifest, pixels, BASE | changes)
                speed = _speed(examples, min(batch_size, images), seconds)
                rows.append({"pixels": pixels, "augmentation": name, "images_per_second": speed})
    return rows


def write_images(folder: Path, pixels: int, count: int) -> Path:
    """Write a data set of generated images and return its manifest.

    Smooth colours with some noise: such a JPEG file of 500 × 375 pixels has about 110 kB, as an
    image of ImageNet has on average.
    """
    width, height, kind = SOURCES[pixels]

    def examples() -> Iterator[Example]:
        random = np.random.default_rng(0)
        for number in range(count):
            data = _image(random, width, height, kind)
            yield Example("train", f"train/{number:05}", number % 2, data)

    plan = DatasetPlan(CLASSES, ["train"], examples, count, kind)
    source = {"stand_in": True, "origin": "stand-in", "sha256": {}}
    manifest = folder / "manifest.json"
    write_dataset(plan, manifest, dataset="generated", builder="benchmark", source=source)
    return manifest


def _image(random: np.random.Generator, width: int, height: int, kind: str) -> bytes:
    coarse = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + random.normal(0, 14, smooth.shape)
    target = io.BytesIO()
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    image.save(target, kind.upper(), **({"quality": 90} if kind == "jpeg" else {}))
    return target.getvalue()


def _examples(manifest: Path, pixels: int, augmentation: dict) -> TrainExamples:
    read = {"name": "generated", "split": "train", "num_classes": 2, "image_size": pixels}
    images = TfdsImages(manifest, read)
    return TrainExamples(images, train_transform(augmentation, pixels), seed=0)


def _speed(examples: TrainExamples, batch_size: int, seconds: float) -> float:
    """Images per second of the process' time, without the first batch."""
    schedule = BatchSchedule(range(len(examples.images)), batch_size, epochs=10**6, seed=0)
    batches = iter(train_loader(examples, schedule, workers=0))
    next(batches)
    started, count = time.process_time(), 0
    while time.process_time() - started < seconds or not count:
        count += len(next(batches)[0])
    return count / (time.process_time() - started)
