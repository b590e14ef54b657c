"""Any images in one folder per class: a folder, a zip or a tar (compressed or not) of a user's own.

Both usual layouts are understood, also below one outer folder:

    <class>/<image>             a share of each class is set aside to test on
    train/<class>/<image>       beside it val/ or test/; further folders inside a class belong to it

Options:
    classes: folder names; others are left out. All by default, sorted: the place is the label.
    splits: which folders are which splits, for instance {training: train, holdout: test}; other
        folders beside them are left out. By default train, training → train; val, valid, validation
        → validation; test, testing → test, in any case of letters, also as train_set, test-images
        and the like. An empty one, {}, says that all folders are classes.
    test_fraction: share of each class that is tested on where no folders say it (default 0.2).
    expected_counts: images by split.
    damaged_images: "error" or "skip" (see docs/add_a_dataset.md).
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.seeding import derive_seed
from robustvit.data.building import ArchivePlan, Entry, check_options
from robustvit.data.members import Member
from robustvit.data.readers import Place, open_archive

# Those that torchvision's ImageFolder reads.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
UNREAD = (".heic", ".heif", ".avif", ".jfif", ".jp2", ".jxl")  # not all known to mimetypes
FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SPLIT_SUFFIX = re.compile(r"[ _.-]?(set|data|dataset|split|images|imgs)$")
TEST_FRACTION = 0.2


def plan(source: dict, options: dict) -> ArchivePlan:
    """Plan the set; ids are the paths inside the folder or archive.

    Raises:
        UserError: for unknown options, if the layout is neither of the two, if there is one class
            only, or if a folder of a class has pictures in other formats only.
    """
    check_options(options, {"classes", "splits", "test_fraction"}, "image_folder")
    archive = Path(source["files"]["archive"])
    members, reader = open_archive(archive)
    images, ignored = _find_images(members())
    layout = _find_layout(archive, images, options.get("splits"))
    placed, unplaced = layout.place(images)
    chosen, present = options.get("classes"), {image.label for image in placed}
    if chosen is None:
        _check_every_folder(archive, layout, present, ignored)
    classes = _choose_classes(archive, chosen, present)
    placed = [image for image in placed if image.label in set(classes)]
    if layout.folders:
        _check_every_class(archive, classes, placed)
    else:
        placed = _set_aside(archive, placed, options.get("test_fraction", TEST_FRACTION))
    labels = {name: label for label, name in enumerate(classes)}

    def entries() -> Iterator[Entry]:
        for split, name, member in placed:
            yield Entry(split, member.name, labels[name], Place(0, member.offset, member.size))

    splits = sorted({image.split for image in placed}, key=_place_of_split)
    ignored += [member.name for member in unplaced]
    return ArchivePlan(classes, splits, entries, reader, _encoding(placed), ignored=ignored)


class _Image(NamedTuple):
    """An image with its split and class."""

    split: str
    label: str
    member: Member


class _Layout(NamedTuple):
    """How many folders lie around everything, and which folders below are which splits."""

    depth: int
    folders: dict[str, str]

    def place(self, images: list[Member]) -> tuple[list[_Image], list[Member]]:
        """Find split and class of each image; those in no class's folder come second."""
        placed, unplaced = [], []
        for image in images:
            split, label = self.find(_parts(image.name))
            if label is None:
                unplaced.append(image)
            else:
                placed.append(_Image(split, label, image))
        return placed, unplaced

    def find(self, parts: tuple[str, ...]) -> tuple[str | None, str | None]:
        """Split and class of a file; the class is None if it lies in no class's folder."""
        parts = parts[self.depth :]
        split = self.folders.get(parts[0]) if self.folders and parts else "train"
        inside = parts[1:] if self.folders else parts
        return split, inside[0] if split and len(inside) > 1 else None


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts


def _find_images(members: Iterator[Member]) -> tuple[list[Member], list[str]]:
    """The images, and the names of other files; hidden files are neither."""
    images, others = [], []
    for member in members:
        if any(part.startswith((".", "__MACOSX")) for part in _parts(member.name)):
            continue
        if PurePosixPath(member.name).suffix.lower() in SUFFIXES:
            images.append(member)
        else:
            others.append(member.name)
    return images, others


def _find_layout(archive: Path, images: list[Member], splits: dict | None) -> _Layout:
    paths = [parts for parts in (_parts(image.name) for image in images) if len(parts) > 1]
    depth = 0
    while (  # an archive often holds one folder of its own name; loose images in it are no class
        paths
        and len({parts[depth] for parts in paths}) == 1
        and any(len(parts) > depth + 2 for parts in paths)
        and not (_split_of(paths[0][depth]) if splits is None else paths[0][depth] in splits)
    ):
        depth += 1
        paths = [parts for parts in paths if len(parts) > depth + 1]
    names = {parts[depth] for parts in paths}
    if not names:
        raise UserError(
            f"{archive}: no images in one folder per class. Expected for instance <class>/1.jpg, "
            f"or train/<class>/1.jpg and test/<class>/2.jpg, as {', '.join(SUFFIXES)}."
        )
    return _Layout(depth, _split_folders(archive, names, splits))


def _split_of(folder: str) -> str | None:
    """The split that a folder's name says, for instance "Train" or "test_set"."""
    name = folder.casefold()
    return SPLITS.get(name) or SPLITS.get(SPLIT_SUFFIX.sub("", name))


def _split_folders(archive: Path, names: set[str], chosen: dict | None) -> dict[str, str]:
    if chosen is not None:
        for name in chosen:
            if name not in names:
                raise unknown_name("folder", name, names, "options.splits")
        return dict(chosen)
    found = {name: _split_of(name) for name in sorted(names) if _split_of(name)}
    others = sorted(names - set(found))
    if found and others:
        raise UserError(
            f"{archive}: beside {', '.join(found)} there is {others[0]}: is it a class or a split? "
            f"Say so, for instance `options: {{splits: {{{next(iter(found))}: train}}}}`, or "
            "`options: {splits: {}}` if all folders are classes."
        )
    return found


def _choose_classes(archive: Path, chosen: list[str] | None, present: set[str]) -> list[str]:
    for name in chosen or ():
        if name not in present:
            raise unknown_name("class", name, present, "options.classes")
    classes = sorted(set(chosen or present))
    if len(classes) < 2:
        raise UserError(
            f"{archive}: {classes[0] if classes else 'none'} is the only class. Expected two or "
            "more, one folder each, for instance cat/1.jpg and dog/1.jpg, or train/cat/1.jpg and "
            "train/dog/1.jpg; `options.splits` says which folders are splits."
        )
    return classes


def _check_every_folder(
    archive: Path, layout: _Layout, present: set[str], others: list[str]
) -> None:
    """Refuse to leave out a class because its pictures are in a format that is not read."""
    for name in others:
        _, label = layout.find(_parts(name))
        kind = mimetypes.guess_type(name)[0] or ""
        suffix = PurePosixPath(name).suffix.lower()
        if label and label not in present and (kind.startswith("image/") or suffix in UNREAD):
            raise UserError(
                f"{archive}: the folder {label} has no image that is read, but {name}. Expected "
                f"{', '.join(SUFFIXES)}; convert its images, or leave the folder out by naming the "
                "others in `options.classes`."
            )


def _set_aside(archive: Path, images: list[_Image], share: float) -> list[_Image]:
    """Give the same share of every class to the split `test`, drawn by the images' own names."""
    if not isinstance(share, float) or not 0 < share < 1:
        raise UserError(f"options.test_fraction: {share!r}; expected for instance 0.2")
    by_class: dict[str, list[str]] = {}
    for image in images:
        by_class.setdefault(image.label, []).append(image.member.name)
    test: set[str] = set()
    for label, names in by_class.items():
        if len(names) < 2:
            raise UserError(
                f"{archive}: class {label} has one image; expected two or more, to train and to "
                "test on."
            )
        drawn = sorted(names, key=lambda name: derive_seed("test image", name))
        test.update(drawn[: min(max(1, round(share * len(names))), len(names) - 1)])
    return [
        image._replace(split="test") if image.member.name in test else image for image in images
    ]


def _check_every_class(archive: Path, classes: list[str], images: list[_Image]) -> None:
    present = {(image.split, image.label) for image in images}
    for split in sorted({split for split, _ in present}):
        absent = [name for name in classes if (split, name) not in present]
        if absent:
            more = f" and of {len(absent) - 1} more" if absent[1:] else ""
            raise UserError(
                f"{archive}: the split {split} has no image of class {absent[0]}{more}. Expected "
                "the same folders in every split; `options.classes` and `options.splits` choose "
                "some."
            )


def _place_of_split(name: str) -> tuple[int, str]:
    order = list(dict.fromkeys(SPLITS.values()))
    return (order.index(name) if name in order else len(order), name)


def _encoding(images: list[_Image]) -> str | None:
    suffixes = {PurePosixPath(image.member.name).suffix.lower() for image in images}
    formats = {FORMATS.get(suffix) for suffix in suffixes}
    return formats.pop() if len(formats) == 1 else None
