"""How much disk a built data set takes: counted if it is there, else estimated."""

from __future__ import annotations

from pathlib import Path

from robustvit.data.imagenet100 import SYNSETS
from robustvit.data.official import source_facts

STAND_IN_IMAGE_BYTES = 1700  # of a CIFAR-10 photograph as JPEG with its record, measured
RGB_32 = 32 * 32 * 3
ROBUSTBENCH_IMAGES = 5000
NAMED_CLASSES = {"imagenet100": len(SYNSETS)}


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def estimated_bytes(entry: dict, archive_bytes: int | None, stand_in: dict | None) -> int | None:
    """Estimate a built set from the counts of the official splits and the mean size of an image.

    Args:
        entry: {"source", "builder", "options", "num_classes"} of the data set.
        archive_bytes: size of the archives that it is built from, if they are there: images are
            stored as they are, so the set is no larger.
        stand_in: the source's entry of `stand_ins` if a stand-in takes its place.

    Returns:
        None where nothing is known of the source.
    """
    if stand_in is not None:
        return STAND_IN_IMAGE_BYTES * stand_in_images(stand_in)
    facts = source_facts(entry["source"])
    if not facts:
        return archive_bytes
    share = min(1.0, chosen_classes(entry) / facts["classes"])
    images = dict(facts["images"])
    if entry["builder"] == "imagenet_files":
        images = {"validation": ROBUSTBENCH_IMAGES}
    total = round(share * sum(n * facts["image_bytes"][split] for split, n in images.items()))
    return total if archive_bytes is None or facts.get("converted") else min(total, archive_bytes)


def stand_in_images(stand_in: dict) -> int:
    """Images of a stand-in archive."""
    per_class = sum(value for key, value in stand_in.items() if key.endswith("per_class"))
    return len(stand_in["classes"]) * per_class


def chosen_classes(entry: dict) -> int:
    """Classes whose images the set holds."""
    classes = (entry.get("options") or {}).get("classes")
    if isinstance(classes, list):
        return len(classes)
    return NAMED_CLASSES.get(classes, entry["num_classes"])


def converted_bytes(source: str) -> int:
    """Size of the arrays that an archive of small images is turned into; 0 for all others."""
    facts = source_facts(source)
    return sum(facts["images"].values()) * RGB_32 if facts.get("converted") else 0
