"""The list of a set's images while it is built: files that all processes map, none holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustvit.core.errors import UserError
from robustvit.data.building import Entry
from robustvit.data.index import CHUNK, IndexWriter, labels_file, names_file
from robustvit.data.readers import Place
from robustvit.data.safety import check_image_bytes

LONGEST_ID = 400  # bytes; all ids of a split take as many as the longest
PLACE = np.dtype([("file", np.uint8), ("offset", np.int64), ("size", np.int64)])


@dataclass(frozen=True)
class SplitEntries:
    """Ids (byte strings [N]), labels (int64 [N]) and places (`PLACE` [N]) of a split, mapped."""

    names: np.ndarray
    labels: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def sizes(self) -> np.ndarray:
        """Bytes of each image, int64 [N]."""
        return self.places["size"]

    def entry(self, split: str, index: int) -> Entry:
        """One image."""
        file, offset, size = self.places[index].tolist()
        name = self.names[index].decode()
        return Entry(split, name, int(self.labels[index]), Place(file, offset, size))


def places_file(folder: Path, split: str) -> Path:
    """Where the places of a split's images are: `PLACE` [N]."""
    return folder / f"places_{split}.npy"


def open_entries(folder: Path, split: str) -> SplitEntries:
    """Map the list of a split that `write_entries` has written."""
    files = (names_file(folder, split), labels_file(folder, split), places_file(folder, split))
    return SplitEntries(*(np.load(path, mmap_mode="r", allow_pickle=False) for path in files))


def write_entries(entries: Iterable[Entry], splits: list[str], folder: Path, where: str) -> None:
    """Write the lists of all splits.

    Args:
        entries: in their order.
        splits: names of the splits.
        folder: where to.
        where: name of the archive, for messages.

    Raises:
        UserError: if a split has no images, or one of them is too large.
    """
    writers = {split: _Writer() for split in splits}
    for entry in entries:
        check_image_bytes(entry.place.size, entry.id, where)
        if len(entry.id.encode()) > LONGEST_ID:
            raise UserError(f"{where}: the name {entry.id} is longer than {LONGEST_ID} bytes.")
        writers[entry.split].add(entry)
    for split, writer in writers.items():
        if not len(writer.index):
            raise UserError(
                f"the split {split} would have no images: its archive holds none of the "
                "chosen classes. Check `options` against the archive."
            )
        writer.write(folder, split)


class _Writer:
    """Collects the list of one split in little memory."""

    def __init__(self) -> None:
        self.index = IndexWriter()
        self._places: list[Place] = []
        self._chunks: list[np.ndarray] = []

    def add(self, entry: Entry) -> None:
        self.index.add(entry.id, entry.label)
        self._places.append(entry.place)
        if len(self._places) == CHUNK:
            self._pack()

    def write(self, folder: Path, split: str) -> None:
        self._pack()
        self.index.write(folder, split)
        np.save(places_file(folder, split), np.concatenate(self._chunks))

    def _pack(self) -> None:
        self._chunks.append(np.array([tuple(place) for place in self._places], PLACE))
        self._places = []
