"""Writing a TFDS set (array_record) and its manifest, without TensorFlow.

TFDS's own writer shuffles through temporary files that need TensorFlow above 1 GB, so the records
and shards are written here, and TFDS writes the metadata.
"""

from __future__ import annotations

import csv
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robustvit.core import provenance
from robustvit.core.errors import UserError
from robustvit.core.files import atomic_directory, sha256, write_json
from robustvit.core.progress import Progress
from robustvit.data.building import DatasetPlan
from robustvit.data.image_checks import Damaged, Seen, examine
from robustvit.data.index import IndexWriter
from robustvit.data.records import make_record
from robustvit.data.shards import ShardWriter

VERSION = "1.0.0"
TFDS_FOLDER = "tfds"
LISTED = 20  # names of a kind in the manifest; the file has all of them
ODD_IMAGES = "odd_images.csv"


@dataclass(frozen=True)
class About:
    """What a set is called and made from.

    Attributes:
        dataset: the configuration's name of the data set.
        builder: the builder's name.
        source: what `read_source` returned, or `derived_source`.
        options: of the builder.
        code: hash of the source files that decide its content (`core.sources.code_digest`).
    """

    dataset: str
    builder: str
    source: Mapping
    options: Mapping = field(default_factory=dict)
    code: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.dataset):
            raise UserError(
                f'datasets.{self.dataset}: TFDS needs names like "cifar10" (small letters, digits '
                "and _)."
            )


@dataclass
class WrittenSplit:
    """A split whose files are written: its part of the manifest and of TFDS's metadata.

    Attributes:
        name: of the split.
        described: size and counts (`index.describe_index`).
        hashes: file name → SHA-256 of each shard, in order.
        lengths: records of each shard.
        num_bytes: of all records.
    """

    name: str
    described: dict
    hashes: dict[str, str]
    lengths: list[int]
    num_bytes: int


@dataclass
class Notes:
    """What was noticed about the images of a set.

    Attributes:
        shapes: all (height, width) in pixels.
        odd: [split, id, kind] of each unusual image, stored as it is.
        left_out: [split, id, class, reason] of each image that does not decode.
        missing: names of images that belong to the set and are not in the archive.
        ignored: files of the archive that are no images.
    """

    shapes: set[tuple[int, int] | None] = field(default_factory=set)
    odd: list[list[str]] = field(default_factory=list)
    left_out: list[list[str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def add(self, split: str, name: str, seen: Seen) -> None:
        """Note what an image is."""
        self.shapes.add((seen.height, seen.width))
        self.odd += [[split, name, kind] for kind in seen.odd]

    def described(self) -> dict:
        """The manifest's part of it."""
        one = next(iter(self.shapes)) if len(self.shapes) == 1 else None
        kinds: dict[str, list[str]] = {}
        for _, name, kind in self.odd:
            kinds.setdefault(kind, []).append(name)
        return {
            "image_shape": [*(one or (None, None)), 3],
            "missing": self.missing,
            "left_out": [
                dict(zip(("split", "id", "class", "reason"), row, strict=True))
                for row in self.left_out
            ],
            "odd_images": {kind: _listed(names) for kind, names in sorted(kinds.items())},
            "ignored_files": _listed(self.ignored),
        }


def _listed(names: list[str]) -> dict:
    return {"count": len(names), "first": names[:LISTED]}


def derived_source(manifest: Mapping) -> dict:
    """The `source` of a set that is made from another one: its manifest's hash and origin."""
    return {
        "stand_in": bool(manifest.get("stand_in")),
        "origin": manifest.get("origin"),
        "sha256": {manifest["dataset"]: manifest["sha256"]},
    }


def derived_name(prefix: str, *names: str) -> str:
    """A name that TFDS accepts, for a set made by experiments of any name."""
    return re.sub(r"[^a-z0-9_]", "_", "_".join((prefix, *names)).lower())


def write_dataset(
    plan: DatasetPlan,
    manifest_path: Path,
    *,
    dataset: str,
    builder: str,
    source: dict,
    code: str | None = None,
) -> None:
    """As `write_set`, with the parts of `About` one by one."""
    write_set(plan, manifest_path, About(dataset, builder, source, code=code))


def write_set(plan: DatasetPlan, manifest_path: Path, about: About) -> None:
    """Write images that are made in one pass: TFDS files, the index, and manifest.json last.

    Everything is written to a temporary folder that then replaces the manifest's folder.

    Args:
        plan: what to write.
        manifest_path: `<folder>/manifest.json`.
        about: names and origin.

    Raises:
        UserError: for an image that does not decode, an empty split or a repeated id.
        OSError: if the disk is full; nothing is left behind.
    """
    with atomic_directory(manifest_path.parent) as folder:
        write_into(folder, plan, manifest_path.name, about)


def write_into(folder: Path, plan: DatasetPlan, manifest: str, about: About) -> None:
    """As `write_set`, into an empty folder whose place the caller sees to.

    Args:
        folder: where everything goes.
        plan: what to write.
        manifest: file name of the manifest, which is written last.
        about: names and origin.
    """
    start, notes = time.monotonic(), Notes()
    (folder / TFDS_FOLDER).mkdir()
    writers = {split: _SplitWriter(folder, about.dataset, split) for split in plan.splits}
    with Progress(plan.total or 1, "images", f"build {about.dataset}") as progress:
        for done, example in enumerate(plan.examples(), start=1):
            try:
                notes.add(example.split, example.id, examine(example.image, plan.encoding))
            except Damaged as error:
                raise UserError(f"{example.id}: the image does not decode ({error}).") from error
            writers[example.split].add(example.id, example.label, example.image)
            progress.update(done, note=example.split)
    splits = [writer.finish(len(plan.classes)) for writer in writers.values()]
    finish_set(folder, manifest, about, plan, splits, notes, time.monotonic() - start)


class _SplitWriter:
    """The shards, ids and labels of one split while it is being written."""

    def __init__(self, folder: Path, dataset: str, split: str) -> None:
        self.folder, self.split = folder, split
        self.shards = ShardWriter(folder / TFDS_FOLDER, dataset, split)
        self.index = IndexWriter()

    def add(self, name: str, label: int, image: bytes) -> None:
        self.shards.write(make_record(image, label, name))
        self.index.add(name, label)

    def finish(self, num_classes: int) -> WrittenSplit:
        if not len(self.index):
            raise UserError(f"the split {self.split} would have no images.")
        described = self.index.describe(num_classes)
        self.index.write(self.folder, self.split)
        hashes = {path.name: sha256(path) for path in self.shards.close()}
        return WrittenSplit(
            self.split, described, hashes, self.shards.lengths, self.shards.num_bytes
        )


def finish_set(
    folder: Path,
    manifest: str,
    about: About,
    plan: object,
    splits: list[WrittenSplit],
    notes: Notes,
    seconds: float,
) -> None:
    """Write TFDS's metadata and the manifest of a set whose shards and index are written.

    Args:
        folder: of the set.
        manifest: file name.
        about: names and origin.
        plan: its `classes` and `encoding`.
        splits: in order.
        notes: about the images.
        seconds: that the build has taken.
    """
    _write_metadata(folder / TFDS_FOLDER, plan.classes, plan.encoding, splits)
    if notes.odd:
        with open(folder / ODD_IMAGES, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("split", "id", "kind"), *notes.odd])
    parts = {split.name: split.described | {"shards": split.hashes} for split in splits}
    content = {
        "dataset": about.dataset,
        "builder": about.builder,
        "options": dict(about.options),
        "stand_in": about.source["stand_in"],
        "origin": about.source["origin"],
        "complete": about.source.get("complete"),  # whether these are the official archives
        "source_sha256": about.source["sha256"],
        "code": about.code,
        "classes": plan.classes,
        **notes.described(),
        "splits": parts,
        "sha256": _combined_hash(parts),
        "provenance": provenance.collect(seconds=seconds),
    }
    write_json(folder / manifest, content)


def _write_metadata(
    folder: Path, classes: list[str], encoding: str | None, splits: list[WrittenSplit]
) -> None:
    """Write dataset_info.json and features.json, so that `tfds.builder_from_directory` works."""
    # Imported here: it takes seconds, which the processes that build shards need not wait for.
    import tensorflow_datasets as tfds

    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    )
    infos = [
        tfds.core.SplitInfo(
            name=split.name,
            shard_lengths=split.lengths,
            num_bytes=split.num_bytes,
            filename_template=template,
        )
        for split in splits
    ]
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)
    label = tfds.features.ClassLabel(names=classes)
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(
            {"image": image, "label": label, "id": tfds.features.Text()}
        ),
        split_infos=infos,
        version=VERSION,
        check_data=False,  # it would need TensorFlow; the tests read every kind of set back
        supervised_keys=("image", "label"),
    )


def _combined_hash(splits: dict[str, dict]) -> str:
    lines = [
        f"{name} {value}" for split in splits.values() for name, value in split["shards"].items()
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
