"""Writing a plan's examples as a TFDS set (array_record), without TensorFlow.

TFDS's own writer shuffles through temporary files that need TensorFlow above 1 GB, so the shards
are written here as a stream, and TFDS encodes the records and writes the metadata.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import tensorflow_datasets as tfds

from robustvit.core import provenance
from robustvit.core.errors import UserError
from robustvit.core.files import atomic_directory, sha256, write_json
from robustvit.core.progress import Progress
from robustvit.data.building import DatasetPlan, Example, image_size
from robustvit.data.index import IndexWriter
from robustvit.data.shards import ShardWriter

VERSION = "1.0.0"
TFDS_FOLDER = "tfds"


class SplitWriter:
    """The shards, ids and labels of one split while it is being written."""

    def __init__(self, folder: Path, dataset: str, split: str) -> None:
        self.split = split
        self.shards = ShardWriter(folder, f"{dataset}-{split}")
        self.index = IndexWriter()

    def add(self, record: bytes, example: Example) -> None:
        """Append an example and its serialised form."""
        self.shards.write(record)
        self.index.add(example.id, example.label)

    def finish(self, num_classes: int) -> dict:
        """Close the shards and return the split's part of the manifest.

        Raises:
            UserError: if the split is empty or an id occurs twice.
        """
        if not len(self.index):
            raise UserError(
                f"the split {self.split} would have no images: its archive holds none of the "
                "chosen classes. Check `options` against the archive."
            )
        described = self.index.describe(num_classes)
        return described | {"shards": {path.name: sha256(path) for path in self.shards.close()}}


def write_dataset(
    plan: DatasetPlan,
    manifest_path: Path,
    *,
    dataset: str,
    builder: str,
    source: dict,
) -> None:
    """Build a data set: TFDS files, the index of ids and labels, and manifest.json last.

    Everything is written to a temporary folder that then replaces the manifest's folder.

    Args:
        plan: what to write.
        manifest_path: `<folder>/manifest.json`.
        dataset: the configuration's name of the data set.
        builder: the builder's name.
        source: what `read_source` returned.

    Raises:
        UserError: for an image that does not decode, an empty split or a repeated id.
        OSError: if the disk is full; nothing is left behind.
    """
    with atomic_directory(manifest_path.parent) as folder:
        write_into(
            folder, plan, manifest_path.name, dataset=dataset, builder=builder, source=source
        )


def write_into(
    folder: Path, plan: DatasetPlan, manifest: str, *, dataset: str, builder: str, source: dict
) -> None:
    """As `write_dataset`, into an empty folder whose place the caller sees to.

    Args:
        folder: where everything goes.
        manifest: file name of the manifest, which is written last.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", dataset):
        raise UserError(
            f'datasets.{dataset}: TFDS needs names like "cifar10" (small letters, digits and _).'
        )
    start = time.monotonic()
    (folder / TFDS_FOLDER).mkdir()
    shape, splits = _write_splits(plan, folder, dataset)
    content = {
        "dataset": dataset,
        "builder": builder,
        "stand_in": source["stand_in"],
        "origin": source["origin"],
        "complete": source.get("complete"),  # whether these are the official archives
        "source_sha256": source["sha256"],
        "classes": plan.classes,
        "image_shape": shape,
        "missing": plan.missing,
        "splits": splits,
        "sha256": _combined_hash(splits),
        "provenance": provenance.collect(seconds=time.monotonic() - start),
    }
    write_json(folder / manifest, content)


def _write_splits(
    plan: DatasetPlan, folder: Path, dataset: str
) -> tuple[list[int | None], dict[str, dict]]:
    tfds_folder = folder / TFDS_FOLDER
    features = _features(plan)
    writers = {split: SplitWriter(tfds_folder, dataset, split) for split in plan.splits}
    sizes = set()
    with Progress(plan.total or 1, "images", f"build {dataset}") as progress:
        for done, example in enumerate(plan.examples(), start=1):
            sizes.add(image_size(example.image, example.id))
            record = {"image": example.image, "label": example.label, "id": example.id}
            writers[example.split].add(features.serialize_example(record), example)
            progress.update(done, note=example.split)
    splits = {split: writer.finish(len(plan.classes)) for split, writer in writers.items()}
    _write_metadata(tfds_folder, features, list(writers.values()))
    for split, writer in writers.items():
        writer.index.write(folder, split)
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    return [height, width, 3], splits


def _features(plan: DatasetPlan) -> tfds.features.FeaturesDict:
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=plan.encoding)
    label = tfds.features.ClassLabel(names=plan.classes)
    return tfds.features.FeaturesDict({"image": image, "label": label, "id": tfds.features.Text()})


def _write_metadata(
    folder: Path, features: tfds.features.FeaturesDict, writers: list[SplitWriter]
) -> None:
    """Write dataset_info.json and features.json, so that `tfds.builder_from_directory` works."""
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    )
    infos = [
        tfds.core.SplitInfo(
            name=writer.split,
            shard_lengths=writer.shards.lengths,
            num_bytes=writer.shards.num_bytes,
            filename_template=template,
        )
        for writer in writers
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
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
