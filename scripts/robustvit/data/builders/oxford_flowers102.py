"""Oxford Flowers-102 with the official train, validation and test lists.

Options:
    classes: a list of species' numbers such as [1, 2, 3], of which all have to be there; "present"
        (the species in the labels file; the default, and all 102 with the official
        files) or "official" (102 species whatever is there).
    expected_counts: images by split, or "official" for those of the official lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.building import ArchivePlan, Entry, check_options
from robustvit.data.members import compressed_tar_members
from robustvit.data.readers import CompressedTarReader, Place

SPECIES = 102
SPLITS = {"trnid": "train", "valid": "validation", "tstid": "test"}
OFFICIAL_COUNTS = {
    "train": {"total": 1020, "per_class": 10},
    "validation": {"total": 1020, "per_class": 10},
    "test": {"total": 6149},
}


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set from the archive and its two MATLAB files.

    Raises:
        UserError: for unknown options, or if the files do not fit together.
    """
    check_options(options, {"classes"}, "oxford_flowers102")
    files = source["files"]
    species = _load(files["labels"], "labels")
    numbers = _choose_species(options.get("classes", "present"), species)
    split_of = _split_of(files["splits"], species, numbers)
    labels = {number: label for label, number in enumerate(numbers)}
    classes = [f"species {number}" for number in numbers]
    listed = frozenset(f"image_{number:05d}.jpg" for number in split_of)

    def entries() -> Iterator[Entry]:
        for member in compressed_tar_members(files["images"]):
            name = PurePosixPath(member.name).name
            if name in listed:
                number = int(name.removeprefix("image_").removesuffix(".jpg"))
                label = labels[int(species[number - 1])]
                place = Place(0, member.offset, member.size)
                yield Entry(split_of[number], name, label, place)

    return ArchivePlan(
        *(classes, list(SPLITS.values()), entries, CompressedTarReader(files["images"])),
        official=OFFICIAL_COUNTS,
        wanted=listed,
    )


def _choose_species(classes: str | list[int], species: np.ndarray) -> list[int]:
    if isinstance(classes, list):
        return _listed_species(classes, species)
    choices = {"official": range(1, SPECIES + 1), "present": np.unique(species)}
    if classes not in choices:
        raise unknown_name("set of classes", classes, choices, "options.classes")
    return [int(number) for number in choices[classes]]


def _listed_species(numbers: list[int], species: np.ndarray) -> list[int]:
    whole = all(type(number) is int for number in numbers)  # YAML's `true` is no number
    if not whole or not numbers or len(set(numbers)) < len(numbers):
        raise UserError(
            "options.classes: expected a list of different numbers of species, for instance "
            f"[1, 2, 3]; got {numbers}."
        )
    present = np.unique(species).tolist()
    for number in numbers:
        if number not in present:
            raise UserError(
                f"options.classes: species {number} is not in the archive, which holds "
                f"{', '.join(map(str, present))}."
            )
    return sorted(numbers)


def _split_of(path: Path, species: np.ndarray, chosen: list[int]) -> dict[int, str]:
    """The split of each image number of the chosen species; an image may be in one split only."""
    split_of: dict[int, str] = {}
    for key, split in SPLITS.items():
        for number in _load(path, key):
            if number in split_of or not 1 <= number <= len(species):
                raise UserError(f"{path}: image {number} of {key} has no label or two splits.")
            split_of[int(number)] = split
    return {number: split for number, split in split_of.items() if species[number - 1] in chosen}


def _load(path: Path, key: str) -> np.ndarray:
    try:
        return loadmat(path)[key].ravel().astype(np.int64)
    except (KeyError, ValueError, MatReadError) as error:
        raise UserError(
            f"{path}: {key} cannot be read ({error}). Expected the official MATLAB file."
        ) from error
