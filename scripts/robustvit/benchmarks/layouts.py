"""The same photographs as every reader wants them: a folder per class, a TFDS set, a tar."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from robustvit.core.files import read_json, write_json
from robustvit.data.building import DatasetPlan, Example
from robustvit.data.writing import write_dataset

CLASSES = ["even", "odd"]


def write_layouts(images: list[bytes], folder: Path) -> None:
    """Write folder/classes/<class>/<n>.jpg, folder/tfds/manifest.json and folder/shard.tar.

    Images of one size are said to be of several: the few of a benchmark stand for a set that is too
    large to be kept decoded (see `data.reading`), and whoever keeps them does not read.
    """
    for number, data in enumerate(images):
        path = folder / "classes" / CLASSES[number % 2] / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for path in sorted((folder / "classes").rglob("*.jpg"), key=lambda found: found.name):
            tar.add(path, path.name)

    def examples() -> Iterator[Example]:
        for number, data in enumerate(images):
            yield Example("train", f"train/{number:05}", number % 2, data)

    plan = DatasetPlan(CLASSES, ["train"], examples, len(images), "jpeg")
    source = {"stand_in": True, "origin": "stand-in", "sha256": {}}
    target = folder / "tfds" / "manifest.json"
    write_dataset(plan, target, dataset="generated", builder="benchmark", source=source)
    write_json(target, read_json(target) | {"image_shape": [None, None, 3]})
