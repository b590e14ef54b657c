"""Caltech-101 with TFDS's split: 30 random images of each class to train, the rest to test.

TFDS draws with NumPy's seed 1234, class after class, in the order in which the file system lists
classes and files, so its split differs between machines. Here both are sorted first.

Options:
    classes: "present" (the categories in the archive, sorted; the default, and TFDS's 102 with the
        official archive), "official" (TFDS's 102 whatever is there) or a list of categories.
    expected_counts: images by split, or "official" for those of the complete archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.building import ArchivePlan, Entry, check_options
from robustvit.data.members import Member, compressed_tar_members, zip_members
from robustvit.data.package_files import package_file
from robustvit.data.readers import CompressedTarReader, Place

INNER = "caltech-101/101_ObjectCategories.tar.gz"
SPLITS = ("train", "test")
TRAIN_PER_CLASS = 30
SEED = 1234
OFFICIAL_COUNTS = {"train": {"total": 3060, "per_class": 30}, "test": {"total": 6084}}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; a first pass over the names decides the split.

    Raises:
        UserError: for unknown classes or a class with fewer than 30 images.
    """
    check_options(options, {"classes"}, "caltech101")
    archive = source["files"]["archive"]
    files = _files_by_category(archive)
    classes = _choose_classes(options.get("classes") or "present", files)
    train = _training_files(files, archive)
    labels = {
        category: classes.index(category.lower())
        for category in files
        if category.lower() in classes
    }

    def entries() -> Iterator[Entry]:
        for path, member in _images(archive):
            category, name = path.parts[-2:]
            if category in labels and name.endswith(".jpg"):
                split = "train" if f"{category}/{name}" in train else "test"
                place = Place(0, member.offset, member.size)
                yield Entry(split, f"{category}/{name}", labels[category], place)

    reader = CompressedTarReader(archive, INNER)
    return ArchivePlan(classes, list(SPLITS), entries, reader, official=OFFICIAL_COUNTS)


def _images(archive: Path) -> Iterator[tuple[PurePosixPath, Member]]:
    """List the files of the tar inside the zip."""
    if INNER not in {member.name for member in zip_members(archive)}:
        raise UserError(f"{archive}: it holds no {INNER}. Expected the official archive.")
    for member in compressed_tar_members(archive, INNER):
        path = PurePosixPath(member.name)
        if len(path.parts) >= 3 and not path.name.startswith("."):
            yield path, member


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
