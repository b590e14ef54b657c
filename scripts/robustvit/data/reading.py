"""Random access to the images of a built TFDS set, without importing TFDS (see A3 of the paper).

A TFDS import costs half a second for each of many short jobs, and its own decoding is slower.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.files import read_json
from robustvit.data.decoding import EncodedImage, decode_image
from robustvit.data.index import Names, map_labels, names_file
from robustvit.data.records import parse_record

CACHE_BYTES = 512 << 20
REBUILD = "Delete the data set's folder and start again: it is built anew."
# Without read-ahead a random read touches its own record only.
READER_OPTIONS = "readahead_buffer_size:0"


class TfdsImages:
    """One split of a data set as a sequence of (uint8 [H, W, 3] RGB, label).

    Files are opened on first use in each process, so an object may be handed to data loader
    workers however they are started. Decoded images are kept in memory if all have one size and
    together take less than 512 MB.

    Args:
        manifest_path: the data set's manifest.json.
        spec: DATASET_READ; `split` and `num_classes` are used here. All examples of the split are
            there whatever `num_examples` is (see `selection.selected_indices`).

    Attributes:
        ids: stable names of the examples, a sequence of N str.
        classes: class names in label order.

    Raises:
        UserError: if there is no such split, a label is not below `num_classes`, or folders of a
            user's own are not as many classes as `num_classes`.
    """

    def __init__(self, manifest_path: str | Path, spec: dict) -> None:
        manifest_path = Path(manifest_path)
        manifest, self.split = read_json(manifest_path), spec["split"]
        if self.split not in manifest["splits"]:
            where = f"datasets.{spec['name']}"
            raise unknown_name("split", self.split, manifest["splits"], where)
        self._folder = folder = manifest_path.parent
        self._shards = [folder / "tfds" / name for name in manifest["splits"][self.split]["shards"]]
        self.ids: Sequence[str] = Names(names_file(folder, self.split))
        self.classes: list[str] = manifest["classes"]
        self.image_shape: list[int | None] = manifest["image_shape"]
        self._forget()
        if manifest["builder"] == "image_folder":
            _check_folders(self.classes, spec)
        _check_num_classes(self.labels, spec)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> np.ndarray:
        """Labels, read-only int64 [N]."""
        if self._labels is None:
            self._labels = map_labels(self._folder, self.split)
        return self._labels

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images([index])[0], int(self.labels[index])

    def images(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decoded images, a list of uint8 [H, W, 3]; cached ones must not be written to."""
        cache = self._open_cache()
        if cache is None:
            return self._decode(indices)
        images, known = cache
        missing = [index for index in indices if not known[index]]
        if missing:
            images[missing] = self._decode(missing)
            known[missing] = True
        return list(images[np.asarray(indices, np.int64)])

    def undecoded(self, indices: Sequence[int]) -> list[EncodedImage] | list[np.ndarray]:
        """The same images, decoded only as far as they are used if they are not kept decoded."""
        if self._open_cache() is not None:
            return self.images(indices)
        return [EncodedImage(data) for data in self.encoded(indices)]

    def encoded(self, indices: Sequence[int]) -> list[bytes]:
        """The images as they were in the archive (JPEG or PNG), undecoded.

        Raises:
            UserError: if a shard cannot be read or holds other examples than the set's index says.
        """
        found = [parse_record(record) for record in self._records(indices)]
        for index, (_, label, name) in zip(indices, found, strict=True):
            if name != self.ids[index] or label != self.labels[index]:
                raise UserError(
                    f"{self._folder}: example {index} of {self.split} is {name}, label {label}, "
                    f"but the index beside it says {self.ids[index]}, label "
                    f"{self.labels[index]}. {REBUILD}"
                )
        return [image for image, _, _ in found]

    def _decode(self, indices: Sequence[int]) -> list[np.ndarray]:
        return [decode_image(data) for data in self.encoded(indices)]

    def _records(self, indices: Sequence[int]) -> list[bytes]:
        readers, starts = self._open_readers()
        records = []
        for index in indices:
            shard = int(np.searchsorted(starts, index, side="right")) - 1
            records.append(readers[shard].read([int(index - starts[shard])])[0])
        return records

    def _open_readers(self) -> tuple[list[ArrayRecordReader], np.ndarray]:
        """Open the shards once in each process: readers do not survive a fork."""
        if self._owner != os.getpid():
            readers = [ArrayRecordReader(str(path), READER_OPTIONS) for path in self._shards]
            lengths = [reader.num_records() for reader in readers]
            self._require_whole(lengths)
            self._readers, self._starts = readers, np.cumsum([0, *lengths[:-1]])
            self._owner = os.getpid()
        return self._readers, self._starts

    def _require_whole(self, lengths: list[int]) -> None:
        """Stop if a shard could not be read: the reader itself says that it has no records."""
        if sum(lengths) == len(self):
            return
        bad = [path for path, length in zip(self._shards, lengths, strict=True) if not length]
        named = f"{bad[0]} is missing, damaged or cannot be opened" if bad else "a shard is damaged"
        few = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise UserError(
            f"{self._folder}: the shards of {self.split} hold {sum(lengths)} examples, the index "
            f"beside them {len(self)}: {named}. {REBUILD} A process may have {few} files open "
            f"(`ulimit -n`), and the split has {len(lengths)}."
        )

    def _open_cache(self) -> tuple[np.ndarray, np.ndarray] | None:
        if None in self.image_shape or len(self) * int(np.prod(self.image_shape)) >= CACHE_BYTES:
            return None
        if self._cache is None:
            images = np.empty((len(self), *self.image_shape), np.uint8)
            self._cache = images, np.zeros(len(self), bool)
        return self._cache

    def _forget(self) -> None:
        self._owner, self._readers, self._starts, self._cache = 0, [], np.zeros(1, np.int64), None
        self._labels = None

    def __getstate__(self) -> dict:
        hidden = ("_owner", "_readers", "_starts", "_cache", "_labels")
        return {key: value for key, value in self.__dict__.items() if key not in hidden}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._forget()


def _check_num_classes(labels: np.ndarray, spec: dict) -> None:
    largest = int(labels.max()) if len(labels) else 0
    if largest >= spec["num_classes"]:
        raise UserError(
            f"datasets.{spec['name']}.num_classes: {spec['num_classes']}, but the data set has "
            f"labels up to {largest}. Expected at least {largest + 1}."
        )


def _check_folders(classes: list[str], spec: dict) -> None:
    """Folders taken for classes, or not, by mistake would else change what is learnt, silently."""
    if len(classes) != spec["num_classes"]:
        shown = ", ".join(classes[:5]) + (", …" if classes[5:] else "")
        raise UserError(
            f"datasets.{spec['name']}.num_classes: {spec['num_classes']}, but its folders are "
            f"{len(classes)} classes ({shown}). Set it to {len(classes)}, or choose folders with "
            "`options.classes` and `options.splits`."
        )
