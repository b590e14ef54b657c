"""ImageNet restricted to some synsets: their training and validation images (spec: ImageNet-100).

Options:
    classes: "imagenet100", "imagenet1k" or a list of synsets. The sorted synsets are the labels.
    expected_counts: images by split, or "official": 50 validation images of each class, and
        1,281,167 training images of all 1,000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from robustvit.core.errors import UserError
from robustvit.data.archives import tar_files
from robustvit.data.building import (
    DatasetPlan,
    Example,
    check_expected_counts,
    check_options,
)
from robustvit.data.imagenet_labels import choose_synsets, validation_synset

SPLITS = ("train", "validation")
ALL_CLASSES, ALL_TRAIN_IMAGES, VALIDATION_PER_CLASS = 1000, 1_281_167, 50


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; both archives are streamed, the training archive is never unpacked.

    A first pass over the headers counts the images, so that a truncated archive or an absent
    synset is noticed before hours of work.

    Raises:
        UserError: for unknown options or synsets, or if an archive is truncated.
    """
    check_options(options, {"classes", "expected_counts"}, "imagenet_classes")
    synsets = choose_synsets(options.get("classes") or "imagenet1k")
    labels = {synset: label for label, synset in enumerate(synsets)}
    train, val = source["files"]["train"], source["files"]["val"]
    counts = Counter(("train", labels[synset]) for synset, *_ in _training_files(train, labels))
    _require_all(train, labels, counts)
    counts.update(("validation", labels[synset]) for synset, *_ in _validation_files(val, labels))
    check_expected_counts(options, official_counts(synsets), SPLITS, synsets, counts)

    def examples() -> Iterator[Example]:
        for synset, name, image in _training_files(train, labels):
            yield Example("train", name, labels[synset], image.read())
        for synset, name, image in _validation_files(val, labels):
            yield Example("validation", name, labels[synset], image.read())

    return DatasetPlan(synsets, list(SPLITS), examples, counts.total())


def official_counts(synsets: list[str]) -> dict:
    """What the complete archives hold of some classes, as far as it is known beforehand."""
    counts: dict = {"validation": {"per_class": VALIDATION_PER_CLASS}}
    if len(synsets) == ALL_CLASSES:
        counts["train"] = {"total": ALL_TRAIN_IMAGES}
    return counts


def _training_files(path: Path, labels: dict[str, int]) -> Iterator[tuple[str, str, IO[bytes]]]:
    """Stream (synset, file name, open file) out of the tars inside the training tar."""
    for inner, fileobj in tar_files(path):
        synset = PurePosixPath(inner).stem
        if synset in labels:
            for name, image in tar_files(Path(f"{path}:{inner}"), fileobj):
                yield synset, PurePosixPath(name).name, image


def _validation_files(path: Path, labels: dict[str, int]) -> Iterator[tuple[str, str, IO[bytes]]]:
    """Stream (synset, file name, open file); the number in the name decides the synset."""
    for name, image in tar_files(path):
        file_name = PurePosixPath(name).name
        synset = validation_synset(file_name)
        if synset in labels:
            yield synset, file_name, image


def _require_all(path: Path, labels: dict[str, int], counts: Counter) -> None:
    absent = sorted(synset for synset, label in labels.items() if not counts["train", label])
    if absent:
        more = f" and {len(absent) - 1} more of the chosen classes" if absent[1:] else ""
        raise UserError(
            f"{path}: it holds no {absent[0]}.tar{more}. Choose classes that are in the archive "
            "in `options.classes`, or take the complete one."
        )
