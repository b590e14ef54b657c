"""Ids and labels of a split, in the order of its records: files that are mapped, not read.

A set of 15 million images has over a gigabyte of ids as Python strings, in every data worker; as
mapped arrays all processes of a machine share one copy, and only what is used is ever read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from robustvit.core.errors import UserError

CHUNK = 1 << 16


class Names(Sequence):
    """Ids of a split as a sequence of str, opened on first use in each process.

    Args:
        path: array of UTF-8 byte strings, written by `IndexWriter`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._mapped = path, None

    def __len__(self) -> int:
        return len(self._bytes())

    def __getitem__(self, index: int | slice) -> str | list[str]:
        found = self._bytes()[index]
        return [name.decode() for name in found] if isinstance(index, slice) else found.decode()

    def __iter__(self) -> Iterator[str]:
        return (name.decode() for name in self._bytes())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None

    def __getstate__(self) -> dict:
        return {"_path": self._path, "_mapped": None}

    def _bytes(self) -> np.ndarray:
        if self._mapped is None:
            self._mapped = np.load(self._path, mmap_mode="r", allow_pickle=False)
        return self._mapped


def names_file(folder: Path, split: str) -> Path:
    """Where the ids of a split are."""
    return folder / f"index_{split}_ids.npy"


def labels_file(folder: Path, split: str) -> Path:
    """Where the labels of a split are: int64 [N]."""
    return folder / f"index_{split}_labels.npy"


def map_labels(folder: Path, split: str) -> np.ndarray:
    """Labels of a split, read-only int64 [N], mapped and not read."""
    return np.asarray(np.load(labels_file(folder, split), mmap_mode="r", allow_pickle=False))


def write_index(folder: Path, split: str, names: np.ndarray, labels: np.ndarray) -> None:
    """Write the two files of a split: byte strings [N] and int64 [N]."""
    np.save(names_file(folder, split), names)
    np.save(labels_file(folder, split), labels)


class IndexWriter:
    """Collects the ids and labels of a split in little memory."""

    def __init__(self) -> None:
        self._names: list[bytes] = []
        self._labels: list[int] = []
        self._chunks: list[tuple[np.ndarray, np.ndarray]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, name: str, label: int) -> None:
        """Append an example."""
        self._names.append(name.encode())
        self._labels.append(label)
        self._count += 1
        if len(self._names) == CHUNK:
            self._pack()

    def describe(self, num_classes: int) -> dict:
        """The split's part of the manifest; see `describe_index`."""
        return describe_index(*self._arrays(), num_classes)

    def write(self, folder: Path, split: str) -> None:
        """Write the two files of the split."""
        write_index(folder, split, *self._arrays())

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        if self._names or len(self._chunks) != 1:
            self._pack()
            names, labels = zip(*self._chunks, strict=True)
            self._chunks = [(np.concatenate(names), np.concatenate(labels))]
        return self._chunks[0]

    def _pack(self) -> None:
        self._chunks.append((np.array(self._names, "S"), np.array(self._labels, np.int64)))
        self._names, self._labels = [], []


def describe_index(names: np.ndarray, labels: np.ndarray, num_classes: int) -> dict:
    """The split's part of the manifest: its size, counts by class, and which images it has.

    Args:
        names: ids, byte strings [N].
        labels: int64 [N].
        num_classes: number of labels.

    Raises:
        UserError: if an id occurs twice.
    """
    names = np.sort(names)
    repeated = np.flatnonzero(names[1:] == names[:-1])
    if len(repeated):
        name = names[repeated[0]].decode()
        raise UserError(f"{name}: this image is in the archive more than once.")
    return {
        "num_examples": len(names),
        "class_counts": np.bincount(labels, minlength=num_classes).tolist(),
        # Which images, whatever their order and bytes: to compare splits between machines.
        "ids_sha256": _hash_lines(names),
    }


def _hash_lines(names: np.ndarray) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(names), CHUNK):
        lines = b"\n".join(names[start : start + CHUNK].tolist())
        digest.update(b"\n" + lines if start else lines)
    return digest.hexdigest()
