"""Caltech-101 with TFDS's split: 30 random images of each class to train, the rest to test.

TFDS draws with NumPy's seed 1234, class after class, in the order in which the file system lists
classes and files, so its split differs between machines. Here both are sorted first.

Options:
    classes: "present" (the categories in the archive, sorted; the default, and TFDS's 102 with the
        official archive), "official" (TFDS's 102 whatever is there) or a list of categories.
    expected_counts: images by split, or "official" for those of the complete archive.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.archives import readable, tar_files
from robustvit.data.building import (
    DatasetPlan,
    Example,
    check_expected_counts,
    check_options,
)
from robustvit.data.package_files import package_file

INNER = "caltech-101/101_ObjectCategories.tar.gz"
SPLITS = ("train", "test")
TRAIN_PER_CLASS = 30
SEED = 1234
OFFICIAL_COUNTS = {"train": {"total": 3060, "per_class": 30}, "test": {"total": 6084}}


def plan(source: dict, options: dict) -> DatasetPlan:
    """Plan the set; a first pass over the names decides the split.

    Raises:
        UserError: for unknown classes or a class with fewer than 30 images.
    """
    check_options(options, {"classes", "expected_counts"}, "caltech101")
    archive = source["files"]["archive"]
    files = _files_by_category(archive)
    classes = _choose_classes(options.get("classes") or "present", files)
    train = _training_files(files, archive)
    labels = {
        category: classes.index(category.lower())
        for category in files
        if category.lower() in classes
    }

    def examples() -> Iterator[Example]:
        for path, image in _images(archive):
            category, name = path.parts[-2:]
            if category in labels and name.endswith(".jpg"):
                split = "train" if f"{category}/{name}" in train else "test"
                yield Example(split, f"{category}/{name}", labels[category], image.read())

    counts = _count(files, labels, train)
    check_expected_counts(options, OFFICIAL_COUNTS, SPLITS, classes, counts)
    return DatasetPlan(classes, list(SPLITS), examples, counts.total())


def _count(files: dict[str, list[str]], labels: dict[str, int], train: set[str]) -> Counter:
    return Counter(
        ("train" if f"{category}/{name}" in train else "test", labels[category])
        for category, names in files.items()
        for name in names
        if category in labels and name.endswith(".jpg")
    )


def _images(archive: Path) -> Iterator[tuple[PurePosixPath, object]]:
    """Stream the files of the tar inside the zip."""
    with readable(archive), zipfile.ZipFile(archive) as outer:
        if INNER not in outer.namelist():
            raise UserError(f"{archive}: it holds no {INNER}. Expected the official archive.")
        with outer.open(INNER) as inner:
            for name, image in tar_files(Path(f"{archive}:{INNER}"), inner):
                path = PurePosixPath(name)
                if len(path.parts) >= 3 and not path.name.startswith("."):
                    yield path, image


def _files_by_category(archive: Path) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for path, _ in _images(archive):
        files.setdefault(path.parts[-2], []).append(path.name)
    return {category: sorted(files[category]) for category in sorted(files)}


def _training_files(files: dict[str, list[str]], archive: Path) -> set[str]:
    """Draw the training files as TFDS does, over every category and every file in it."""
    random = np.random.RandomState(SEED)
    chosen = set()
    for category, names in files.items():
        if len(names) < TRAIN_PER_CLASS:
            raise UserError(
                f"{archive}: {category} has {len(names)} images; the split needs at least "
                f"{TRAIN_PER_CLASS}."
            )
        drawn = random.choice(names, TRAIN_PER_CLASS, replace=False)
        chosen |= {f"{category}/{name}" for name in drawn}
    return chosen


def _choose_classes(classes: str | list[str], files: dict[str, list[str]]) -> list[str]:
    present = sorted(category.lower() for category in files)
    if isinstance(classes, list):
        chosen = sorted(str(name).lower() for name in classes)
        if len(set(chosen)) < len(chosen) or not all(isinstance(name, str) for name in classes):
            raise UserError(
                f"options.classes: expected a list of different categories, for instance [emu, "
                f"gerenuk]; got {classes}."
            )
        for name in classes:
            if name.lower() not in present:
                raise unknown_name("category", name, files, "options.classes")
        return chosen
    if classes == "present":
        return present
    if classes == "official":
        names = package_file("tensorflow_datasets", "image_classification/caltech101_labels.txt")
        return names.read_text(encoding="utf-8").split()
    known = ["official", "present"]
    raise unknown_name("set of classes", classes, known, "options.classes")
