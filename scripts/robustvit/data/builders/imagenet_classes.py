"""ImageNet restricted to some synsets: their training and validation images (spec: ImageNet-100).

Options:
    classes: "imagenet100", "imagenet1k" or a list of synsets. The sorted synsets are the labels.
    expected_counts: images by split, or "official": the archives have the official hashes, with 50
        validation images of each class, and 1,281,167 training images of all 1,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from robustvit.core.errors import UserError
from robustvit.data.building import ArchivePlan, Entry, check_complete, check_options
from robustvit.data.imagenet_labels import choose_synsets, validation_synset
from robustvit.data.members import tar_members
from robustvit.data.readers import Place, TarReader

SPLITS = ("train", "validation")
ALL_CLASSES, ALL_TRAIN_IMAGES, VALIDATION_PER_CLASS = 1000, 1_281_167, 50


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; the training archive is never unpacked: images are read by their offsets.

    Raises:
        UserError: for unknown options or synsets, or if other archives are to be the official ones.
    """
    check_options(options, {"classes"}, "imagenet_classes")
    check_complete(source, options, "how many training images a class has is not known")
    synsets = choose_synsets(options.get("classes") or "imagenet1k")
    labels = {synset: label for label, synset in enumerate(synsets)}
    archives = (source["files"]["train"], source["files"]["val"])

    def entries() -> Iterator[Entry]:
        yield from _training_images(archives[0], labels)
        for member in tar_members(archives[1]):
            name = PurePosixPath(member.name).name
            synset = validation_synset(name)  # the number in the name decides, not the place
            if synset in labels:
                place = Place(1, member.offset, member.size)
                yield Entry("validation", name, labels[synset], place)

    return ArchivePlan(
        synsets, list(SPLITS), entries, TarReader(archives), official=official_counts(synsets)
    )


def official_counts(synsets: list[str]) -> dict:
    """What the complete archives hold of some classes, as far as it is known beforehand."""
    counts: dict = {"validation": {"per_class": VALIDATION_PER_CLASS}}
    if len(synsets) == ALL_CLASSES:
        counts["train"] = {"total": ALL_TRAIN_IMAGES}
    return counts


def _training_images(path: Path, labels: dict[str, int]) -> Iterator[Entry]:
    """List the images of the tars inside the training tar.

    Raises:
        UserError: at the end, if one of the synsets was not there.
    """
    absent = dict.fromkeys(labels)
    for inner in tar_members(path):
        synset = PurePosixPath(inner.name).stem
        if synset not in labels:
            continue
        absent.pop(synset, None)
        for member in tar_members(path, inner):
            name = PurePosixPath(member.name).name
            place = Place(0, member.offset, member.size)
            yield Entry("train", name, labels[synset], place)
    if absent:
        more = f" and {len(absent) - 1} more of the chosen classes" if len(absent) > 1 else ""
        raise UserError(
            f"{path}: it holds no {next(iter(absent))}.tar{more}. Choose classes that are in the "
            "archive in `options.classes`, or take the complete one."
        )
