"""Writing array_record shards of bounded size, in one pass and with little memory."""

from __future__ import annotations

import errno
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter

SHARD_BYTES = 256 << 20
# One record a group: random access then reads exactly one record. Pictures are compressed already.
WRITER_OPTIONS = "group_size:1,uncompressed"


class ShardWriter:
    """Write the records of one split to `<prefix>.array_record-00000-of-0000n`.

    The number of shards is known only at the end, so they get their names in `close`.
    """

    def __init__(self, folder: Path, prefix: str, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.prefix, self.shard_bytes = folder, prefix, shard_bytes
        self.lengths: list[int] = []
        self.num_bytes = 0
        self._writer: ArrayRecordWriter | None = None
        self._room = 0

    def write(self, record: bytes) -> None:
        """Append a record.

        Raises:
            OSError: if the disk is full.
        """
        if self._writer is None or self._room < len(record):
            self._open_next()
        self._guard(self._writer.write, record)
        self._room -= len(record)
        self.num_bytes += len(record)
        self.lengths[-1] += 1

    def close(self) -> list[Path]:
        """Finish the last shard and return all of them under their final names, in order."""
        self._finish_shard()
        count = len(self.lengths)
        paths = []
        for i in range(count):
            name = f"{self.prefix}.array_record-{i:05d}-of-{count:05d}"
            paths.append(self._temporary(i).rename(self.folder / name))
        return paths

    def _open_next(self) -> None:
        self._finish_shard()
        path = self._temporary(len(self.lengths))
        self._writer = ArrayRecordWriter(str(path), WRITER_OPTIONS)
        self._room = self.shard_bytes
        self.lengths.append(0)

    def _finish_shard(self) -> None:
        if self._writer is not None:
            self._guard(self._writer.close)
        self._writer = None

    def _temporary(self, index: int) -> Path:
        return self.folder / f".{self.prefix}-{index:05d}.partial"

    def _guard(self, call: object, *arguments: bytes) -> None:
        """The library reports a full disk as a RuntimeError; make it the usual OSError."""
        try:
            call(*arguments)
        except RuntimeError as error:
            if "No space left" not in str(error) and "quota" not in str(error):
                raise
            raise OSError(errno.ENOSPC, "No space left on device", str(self.folder)) from error
