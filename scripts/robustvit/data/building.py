"""What a builder plug-in returns: the classes of a data set and its examples or their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.readers import Place, Reader

COUNTS_EXAMPLE = (
    '"expected_counts: official", or "expected_counts: {train: {total: 3060, per_class: 30}}"'
)
# Options of every builder that plans by `ArchivePlan`; they decide what is accepted and change no
# byte of the images.
COMMON_OPTIONS = frozenset({"expected_counts", "damaged_images"})


class Example(NamedTuple):
    """One image of a split, in its original encoding.

    `id` names it for ever: the name of its file in the archive, or for instance
    "cifar10/test/00012". `label` is a place in the plan's classes.
    """

    split: str
    id: str
    label: int
    image: bytes


class Entry(NamedTuple):
    """Where one image of a split is; `split`, `id` and `label` are those of `Example`."""

    split: str
    id: str
    label: int
    place: Place


@dataclass(frozen=True)
class ArchivePlan:
    """A data set whose images can be read in any order: by several processes, and resumed.

    Attributes:
        classes: names in label order.
        splits: names of the splits.
        entries: lists the images without reading them; their order is that of the set.
        reader: gives the bytes of an entry.
        encoding: "jpeg" or "png"; None if the set has both.
        official: what `expected_counts: official` stands for (see `check_expected_counts`).
        wanted: ids that belong to the set; those without an entry are missing.
        require_complete: whether a missing image is an error; otherwise the manifest names it.
        ignored: files of the archive that are no images, for the manifest.
    """

    classes: list[str]
    splits: list[str]
    entries: Callable[[], Iterator[Entry]]
    reader: Reader
    encoding: str | None = "jpeg"
    official: dict = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    require_complete: bool = True
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DatasetPlan:
    """A data set whose images are made one after the other, in one pass.

    Attributes:
        classes: names in label order.
        splits: names of the splits.
        examples: starts the pass.
        total: number of examples if it is known beforehand, for the progress display.
        encoding: "jpeg" or "png".
    """

    classes: list[str]
    splits: list[str]
    examples: Callable[[], Iterator[Example]]
    total: int | None = None
    encoding: str = "jpeg"


def check_options(options: dict, known: set[str], builder: str) -> None:
    """Refuse options that a builder does not have; every builder has `COMMON_OPTIONS`.

    Raises:
        UserError: naming the first unknown one.
    """
    known = known | COMMON_OPTIONS
    unknown = sorted(set(options) - known)
    if unknown:
        raise UserError(
            f"options.{unknown[0]}: the builder {builder} has no such option. "
            f"Known: {', '.join(sorted(known)) or 'none'}."
        )


def check_complete(source: Mapping, options: Mapping, unknown: str) -> None:
    """Refuse "official" counts that say nothing of some images, unless the archives are official.

    Args:
        source: what `read_source` returned; `complete` is true if every archive has the official
            hash.
        options: of the builder; without `expected_counts: official` nothing is checked.
        unknown: what the counts leave open, for the message.

    Raises:
        UserError: if the archives are others, or were compared with nothing.
    """
    if options.get("expected_counts") == "official" and source.get("complete") is not True:
        found = "others" if source.get("complete") is False else "not known to be"
        raise UserError(
            f"options.expected_counts: official needs the official archives (`complete` in the "
            f"source's source.json): {unknown}. Those at hand are {found}. Take those, give the "
            f"numbers, for instance {COUNTS_EXAMPLE.split(' or ')[1]}, or leave the option out."
        )


def check_expected_counts(
    options: dict, official: dict, splits: Sequence[str], classes: Sequence[str], counts: Counter
) -> None:
    """Compare the number of images with the option `expected_counts`.

    A paper's numbers hold for the complete archive: with this option a smaller one is an error
    instead of a data set of the same name.

    Args:
        options: of the builder; {"expected_counts": {"train": {"total": 3060, "per_class": 30}}},
            where both numbers are optional, or {"expected_counts": "official"}. Without the
            option nothing is checked.
        official: what "official" stands for.
        splits: the splits of the set.
        classes: names in label order.
        counts: number of images by (split, label).

    Raises:
        UserError: naming the split, or the first class, whose number is another one.
    """
    chosen = options.get("expected_counts") or {}
    if chosen == "official" and not official:
        raise UserError("options.expected_counts: no official counts are known for these options.")
    chosen = official if chosen == "official" else chosen
    if not isinstance(chosen, dict):
        raise UserError(
            f"options.expected_counts: {chosen!r} is not understood. Example: {COUNTS_EXAMPLE}"
        )
    for split, expected in chosen.items():
        where = f"options.expected_counts.{split}"
        if split not in splits:
            raise unknown_name("split", split, splits, where)
        if not isinstance(expected, dict) or not set(expected) <= {"total", "per_class"}:
            raise UserError(f"{where}: {expected!r} is not understood. Example: {COUNTS_EXAMPLE}")
        found = [counts[split, label] for label in range(len(classes))]
        _check_number(f"{where}.total", "the split", sum(found), expected.get("total"))
        for name, number in zip(classes, found, strict=True):
            _check_number(f"{where}.per_class", f"class {name}", number, expected.get("per_class"))


def _check_number(where: str, what: str, found: int, expected: int | None) -> None:
    if expected is not None and found != expected:
        raise UserError(
            f"{where}: {what} has {found} images, expected {expected}. The archive is not the "
            "complete official one: take that, or leave `expected_counts` out."
        )
