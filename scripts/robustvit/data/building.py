"""What a builder plug-in returns: the classes of a data set and a stream of its examples."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from robustvit.core.errors import UserError, unknown_name

COUNTS_EXAMPLE = (
    '"expected_counts: official", or "expected_counts: {train: {total: 3060, per_class: 30}}"'
)


class Example(NamedTuple):
    """One image of a split, in its original encoding.

    `id` names it for ever: the name of its file in the archive, or for instance
    "cifar10/test/00012". `label` is a place in the plan's classes.
    """

    split: str
    id: str
    label: int
    image: bytes


@dataclass(frozen=True)
class DatasetPlan:
    """A data set that can be built in one pass over its archives.

    Attributes:
        classes: names in label order.
        splits: names of the splits.
        examples: starts the pass.
        total: number of examples if it is known beforehand, for the progress display.
        encoding: "jpeg" or "png".
        missing: names of images that belong to the set and are not in the archive.
    """

    classes: list[str]
    splits: list[str]
    examples: Callable[[], Iterator[Example]]
    total: int | None = None
    encoding: str = "jpeg"
    missing: list[str] = field(default_factory=list)


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """Decode an image completely and return its height and width in pixels.

    Raises:
        UserError: if it does not decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF data, of which ImageNet has some
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return image.height, image.width
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{name}: the image does not decode ({error}). Replace it in its archive, or take the "
            "official archive again."
        ) from error


def check_options(options: dict, known: set[str], builder: str) -> None:
    """Refuse options that a builder does not have.

    Raises:
        UserError: naming the first unknown one.
    """
    unknown = sorted(set(options) - known)
    if unknown:
        raise UserError(
            f"options.{unknown[0]}: the builder {builder} has no such option. "
            f"Known: {', '.join(sorted(known)) or 'none'}."
        )


def check_expected_counts(
    options: dict, official: dict, splits: Sequence[str], classes: Sequence[str], counts: Counter
) -> None:
    """Compare the plan with the option `expected_counts`, before anything is written.

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
