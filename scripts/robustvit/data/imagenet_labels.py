"""ImageNet's synsets, its validation labels by file number, and RobustBench's 5,000 images."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.imagenet100 import SYNSETS as IMAGENET100
from robustvit.data.package_files import package_file

TFDS_FOLDER = "datasets/imagenet2012"
VALIDATION_IMAGES = 50_000


@lru_cache(maxsize=1)
def all_synsets() -> tuple[str, ...]:
    """The 1,000 synsets in the standard sorted order: the index is the usual label."""
    return tuple(_lines("tensorflow_datasets", f"{TFDS_FOLDER}/labels.txt"))


@lru_cache(maxsize=1)
def validation_synsets() -> tuple[str, ...]:
    """The synset of each validation image; entry i belongs to ILSVRC2012_val_<i + 1>."""
    return tuple(_lines("tensorflow_datasets", f"{TFDS_FOLDER}/validation_labels.txt"))


@lru_cache(maxsize=1)
def robustbench_files() -> tuple[tuple[str, str], ...]:
    """(synset, file name) of the 5,000 validation images that RobustBench evaluates."""
    lines = _lines("robustbench", "helper_files/imagenet_test_image_ids.txt")
    return tuple(tuple(line.split("/")) for line in lines)


def _lines(package: str, name: str) -> list[str]:
    return package_file(package, name).read_text(encoding="utf-8").split()


def validation_name(number: int) -> str:
    """File name of validation image `number` (1–50,000)."""
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def validation_synset(file_name: str) -> str:
    """Synset of a validation image by the number in its name, never by its place in an archive.

    Raises:
        UserError: if the name is not that of a validation image.
    """
    stem = PurePosixPath(file_name).stem
    prefix, _, number = stem.rpartition("_")
    if prefix != "ILSVRC2012_val" or not number.isdigit():
        raise UserError(
            f"{file_name}: not the name of an ImageNet validation image. Expected for instance "
            f"{validation_name(1)}."
        )
    if not 1 <= int(number) <= VALIDATION_IMAGES:
        raise UserError(f"{file_name}: ImageNet has {VALIDATION_IMAGES} validation images.")
    return validation_synsets()[int(number) - 1]


def choose_synsets(classes: list[str] | str) -> list[str]:
    """Resolve a builder's `classes` option to sorted synsets; the place is the label.

    Args:
        classes: "imagenet1k", "imagenet100" or a list of synsets such as "n01440764".

    Raises:
        UserError: for an unknown or repeated synset or an unknown name.
    """
    named = {"imagenet1k": all_synsets(), "imagenet100": IMAGENET100}
    if isinstance(classes, str):
        if classes not in named:
            raise unknown_name("set of ImageNet classes", classes, named, "options.classes")
        return list(named[classes])
    for synset in classes:
        if synset not in all_synsets():
            raise unknown_name("synset", synset, all_synsets(), "options.classes")
    if len(set(classes)) < len(classes) or not classes:
        raise UserError(
            "options.classes: expected a list of different synsets, for instance "
            "[n01440764, n01443537]."
        )
    return sorted(classes)
