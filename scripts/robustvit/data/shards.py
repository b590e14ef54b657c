"""Writing array_record shards of bounded size with little memory."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

SHARD_BYTES = 256 << 20
SMALLEST_SHARD = 16 << 20
WANTED_SHARDS = 64  # of a split, if they are large enough: work for several processes
# One record a group: random access then reads exactly one record. Pictures are compressed already.
WRITER_OPTIONS = "group_size:1,uncompressed"
RECORD_OVERHEAD = 128  # about the bytes of a record besides its image


def plan_shards(sizes: np.ndarray) -> list[tuple[int, int]]:
    """Cut a split into shards of about equal size; the sizes of its images alone decide where.

    Args:
        sizes: bytes of each encoded image, int64 [N].

    Returns:
        First example and the one after the last, of each shard; none is empty.
    """
    ends = np.cumsum(sizes + RECORD_OVERHEAD)
    total = int(ends[-1]) if len(ends) else 0
    target = min(max(total // WANTED_SHARDS, SMALLEST_SHARD), SHARD_BYTES)
    count = max(1, -(-total // target))
    wanted = np.arange(1, count) * (total / count)
    cuts = np.unique([0, *np.searchsorted(ends, wanted), len(sizes)]).tolist()
    return list(pairwise(cuts))


class ShardFile:
    """One file of records."""

    def __init__(self, path: Path) -> None:
        self.path, self.records, self.num_bytes = path, 0, 0
        self._writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)

    def write(self, record: bytes) -> None:
        """Append a record.

        Raises:
            OSError: if the disk is full.
        """
        self._guard(self._writer.write, record)
        self.records += 1
        self.num_bytes += len(record)

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: if the disk is full.
        """
        self._guard(self._writer.close)

    def _guard(self, call: Callable, *arguments: bytes) -> None:
        """The library reports a full disk as a RuntimeError; make it the usual OSError."""
        try:
            call(*arguments)
        except RuntimeError as error:
            if "No space left" not in str(error) and "quota" not in str(error):
                raise
            place = str(self.path.parent)
            raise OSError(errno.ENOSPC, "No space left on device", place) from error


def shard_name(dataset: str, split: str, index: int, count: int) -> str:
    """File name of a shard, as TFDS expects it."""
    return f"{dataset}-{split}.array_record-{index:05d}-of-{count:05d}"


class ShardWriter:
    """Write the records of one split as they come, into shards of bounded size.

    The number of shards is known only at the end, so they get their names in `close`.
    """

    def __init__(
        self, folder: Path, dataset: str, split: str, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self.folder, self.dataset, self.split = folder, dataset, split
        self.shard_bytes = shard_bytes
        self._files: list[ShardFile] = []

    @property
    def lengths(self) -> list[int]:
        """Number of records of each shard."""
        return [file.records for file in self._files]

    @property
    def num_bytes(self) -> int:
        """Bytes of all records."""
        return sum(file.num_bytes for file in self._files)

    def write(self, record: bytes) -> None:
        """Append a record.

        Raises:
            OSError: if the disk is full.
        """
        if not self._files or self._files[-1].num_bytes + len(record) > self.shard_bytes:
            self._finish_shard()
            path = self.folder / f".{self.dataset}-{self.split}-{len(self._files):05d}.partial"
            self._files.append(ShardFile(path))
        self._files[-1].write(record)

    def close(self) -> list[Path]:
        """Finish the last shard and return all of them under their final names, in order."""
        self._finish_shard()
        count = len(self._files)
        names = [shard_name(self.dataset, self.split, i, count) for i in range(count)]
        return [
            file.path.rename(self.folder / name)
            for file, name in zip(self._files, names, strict=True)
        ]

    def _finish_shard(self) -> None:
        if self._files:
            self._files[-1].close()
