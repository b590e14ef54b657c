"""Stand-in archives: CIFAR-10 photographs in the official layouts of data sets a user lacks.

The builders then run on the same layouts as with the real archives. Only CIFAR-10's *training*
images are used, and every source draws from its own part of each class, so no image is in two
stand-ins. File names of ImageNet's training images carry the image's place in CIFAR-10.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.progress import Progress
from robustvit.core.seeding import derive_seed
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.imagenet_labels import (
    choose_synsets,
    robustbench_files,
    validation_name,
    validation_synsets,
)
from robustvit.data.source_files import write_source
from robustvit.data.tar_writing import add_bytes, open_tar, open_tgz, write_zip

TRAIN_IMAGES = 50_000
# Which of the 5,000 training images of each CIFAR-10 class a source may use.
PARTS = {"imagenet": (0, 4400), "caltech101": (4400, 4700), "oxford_flowers102": (4700, 5000)}
MAT_HEADER = b"MATLAB 5.0 MAT-file, stand-in".ljust(116)  # SciPy would write the time of day


class Photographs:
    """CIFAR-10's training images for one source, in a seeded order, as JPEG bytes.

    Args:
        images: uint8 [60000, 32, 32, 3], training images first.
        labels: uint8 [60000].
        source: a key of `PARTS`.
        seed: decides the order inside the source's part.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, source: str, seed: int) -> None:
        self.images, self.source, self.seed = images, source, seed
        self.labels = np.asarray(labels[:TRAIN_IMAGES])
        self.done, self.progress = 0, None

    def choose(self, name: str, count: int) -> np.ndarray:
        """Places in CIFAR-10 of `count` images of class `name`.

        Raises:
            UserError: for a class that CIFAR-10 has not, or more images than the part holds.
        """
        if name not in CIFAR10_CLASSES:
            raise unknown_name("CIFAR-10 class", name, CIFAR10_CLASSES, "stand_in.classes")
        start, stop = PARTS[self.source]
        own = np.flatnonzero(self.labels == CIFAR10_CLASSES.index(name))[start:stop]
        if count > len(own):
            raise UserError(
                f"stand_in: {count} images of {name} asked for {self.source}, but only {len(own)} "
                "are set aside for it. Lower the counts per class."
            )
        order = np.random.default_rng(derive_seed(self.seed, self.source, name))
        return order.permutation(own)[:count]

    def jpeg(self, index: int) -> bytes:
        """Image `index` as a JPEG of quality 95 without colour subsampling."""
        buffer = io.BytesIO()
        Image.fromarray(self.images[index]).save(buffer, "jpeg", quality=95, subsampling=0)
        self.done += 1
        if self.progress is not None:
            self.progress.update(self.done)
        return buffer.getvalue()


def make_stand_in(spec: dict, cifar10: dict, folder: Path) -> None:
    """Write the stand-in archives of `spec["source"]` and source.json into `folder`.

    Args:
        spec: {"source", "seed", "classes": {CIFAR-10 class: synset, category or number}, counts}.
        cifar10: what `read_source` returns for CIFAR-10.
        folder: an empty folder.

    Raises:
        UserError: for unknown classes or counts that cannot be met.
    """
    writers = {
        "imagenet": _write_imagenet,
        "caltech101": _write_caltech101,
        "oxford_flowers102": _write_flowers,
    }
    source = spec["source"]
    if source not in writers:
        raise unknown_name("source of a stand-in", source, writers, "source")
    images = np.load(cifar10["files"]["images"], mmap_mode="r")
    photographs = Photographs(images, np.load(cifar10["files"]["labels"]), source, spec["seed"])
    total = len(spec["classes"]) * sum(v for k, v in spec.items() if k.endswith("per_class"))
    with Progress(total, "images", f"stand-in {source}") as photographs.progress:
        files = writers[source](spec, photographs, folder)
    detail = f"CIFAR-10 training photographs of {', '.join(spec['classes'])}"
    write_source(folder / "source.json", source, files, "stand-in", detail)


def _write_imagenet(spec: dict, photographs: Photographs, folder: Path) -> dict[str, Path]:
    choose_synsets(list(spec["classes"].values()))  # an unknown synset stops here
    files = {
        "train": folder / "ILSVRC2012_img_train.tar",
        "val": folder / "ILSVRC2012_img_val.tar",
    }
    train_count, val_count = spec["train_per_class"], spec["val_per_class"]
    validation: list[tuple[str, int]] = []
    with open_tar(files["train"]) as tar:
        for name, synset in sorted(spec["classes"].items(), key=lambda item: item[1]):
            chosen = photographs.choose(name, train_count + val_count)
            train, val = chosen[:train_count], chosen[train_count:]
            add_bytes(tar, f"{synset}.tar", _synset_tar(synset, train, photographs))
            validation += zip(_validation_names(synset, val_count), val, strict=True)
    with open_tar(files["val"]) as tar:
        for file_name, index in sorted(validation):
            add_bytes(tar, file_name, photographs.jpeg(index))
    return files


def _synset_tar(synset: str, indices: np.ndarray, photographs: Photographs) -> bytes:
    buffer = io.BytesIO()
    with open_tar(buffer) as tar:
        for index in indices:
            add_bytes(tar, f"{synset}_{index}.JPEG", photographs.jpeg(index))
    return buffer.getvalue()


def _validation_names(synset: str, count: int) -> list[str]:
    """Names of `count` real validation images of a synset, those RobustBench uses first."""
    listed = [name for own, name in robustbench_files() if own == synset]
    labels = validation_synsets()
    every = [validation_name(i + 1) for i, own in enumerate(labels) if own == synset]
    names = listed + [name for name in every if name not in set(listed)]
    if count > len(names):
        raise UserError(
            f"stand_in.val_per_class: {count} is more than ImageNet's {len(names)} validation "
            f"images of {synset}. Example: 50."
        )
    return names[:count]


def _write_caltech101(spec: dict, photographs: Photographs, folder: Path) -> dict[str, Path]:
    buffer = io.BytesIO()
    with open_tgz(buffer) as tar:
        for name, category in sorted(spec["classes"].items(), key=lambda item: item[1]):
            for place, index in enumerate(photographs.choose(name, spec["per_class"]), start=1):
                path = f"101_ObjectCategories/{category}/image_{place:04d}.jpg"
                add_bytes(tar, path, photographs.jpeg(index))
    archive = folder / "caltech-101.zip"
    write_zip(archive, "caltech-101/101_ObjectCategories.tar.gz", buffer.getvalue())
    return {"archive": archive}


def _write_flowers(spec: dict, photographs: Photographs, folder: Path) -> dict[str, Path]:
    files = {
        "images": folder / "102flowers.tgz",
        "labels": folder / "imagelabels.mat",
        "splits": folder / "setid.mat",
    }
    counts = {
        "trnid": spec["train_per_class"],
        "valid": spec["val_per_class"],
        "tstid": spec["test_per_class"],
    }
    labels: list[int] = []
    numbers: dict[str, list[int]] = {split: [] for split in counts}
    with open_tgz(files["images"]) as tar:
        for name, species in sorted(spec["classes"].items(), key=lambda item: item[1]):
            _add_species(tar, photographs, name, counts, numbers, len(labels))
            labels += [species] * sum(counts.values())
    _save_mat(files["labels"], {"labels": np.array([labels], np.uint8)})
    _save_mat(files["splits"], {k: np.array([v], np.uint16) for k, v in numbers.items()})
    return files


def _add_species(
    tar: tarfile.TarFile,
    photographs: Photographs,
    name: str,
    counts: dict[str, int],
    numbers: dict[str, list[int]],
    before: int,
) -> None:
    """Add the images of one species and note in `numbers` to which split each number belongs."""
    chosen = iter(photographs.choose(name, sum(counts.values())))
    number = before
    for split, count in counts.items():
        for _ in range(count):
            number += 1
            add_bytes(tar, f"jpg/image_{number:05d}.jpg", photographs.jpeg(next(chosen)))
            numbers[split].append(number)


def _save_mat(path: Path, variables: dict[str, np.ndarray]) -> None:
    """Save a MATLAB 5 file whose bytes do not depend on the clock."""
    buffer = io.BytesIO()
    savemat(buffer, variables)
    data = buffer.getvalue()
    path.write_bytes(MAT_HEADER + data[len(MAT_HEADER) :])
