"""Building one shard of a set from its place in the list: the work of one process at a time.

What a shard is made from is decided before (see `entries`), so its bytes depend on no other shard,
on no number of processes and on nothing that happened before a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robustvit.core.files import atomic_path, read_json, sha256, write_json
from robustvit.data.building import Entry
from robustvit.data.entries import open_entries
from robustvit.data.image_checks import Damaged, Seen, examine
from robustvit.data.readers import Read, Reader
from robustvit.data.records import make_record
from robustvit.data.shards import ShardFile


@dataclass(frozen=True)
class ShardTask:
    """One shard: examples `start` to `stop` of a split.

    Attributes:
        index: folder of the list of entries.
        folder: where the shard goes.
        split: its name.
        number: the shard's number in the split.
        start: its first example.
        stop: the one after its last.
        reader: prepared.
        encoding: "jpeg", "png" or None.
    """

    index: Path
    folder: Path
    split: str
    number: int
    start: int
    stop: int
    reader: Reader
    encoding: str | None

    @property
    def records(self) -> Path:
        """The file of records."""
        return self.folder / f"{self.split}-{self.number:05d}.records"

    @property
    def report(self) -> Path:
        """What is known of the file of records; it is written after it."""
        return self.folder / f"{self.split}-{self.number:05d}.json"

    def finished(self) -> bool:
        """Whether an earlier process has built this shard."""
        try:
            return self.records.stat().st_size == read_json(self.report)["file_bytes"]
        except FileNotFoundError:
            return False


@dataclass
class _Report:
    """What is noticed while a shard is written."""

    shapes: set[tuple[int, int]]
    odd: list[list[str]]
    damaged: list[list]

    def note(self, entry: Entry, seen: Seen) -> None:
        self.shapes.add((seen.height, seen.width))
        self.odd += [[entry.split, entry.id, kind] for kind in seen.odd]


def build_shard(task: ShardTask) -> int:
    """Write the shard and its report; images that do not decode are reported and left out.

    Returns:
        How many images the task had.

    Raises:
        UserError: if the archive is damaged or not the one that was listed.
        OSError: if the disk is full.
    """
    report = _Report(set(), [], [])
    with atomic_path(task.records) as temporary, task.reader.open() as read:
        shard = ShardFile(temporary)
        for record in _records(task, read, report):
            shard.write(record)
        shard.close()
        found = {
            "examples": shard.records,
            "record_bytes": shard.num_bytes,
            "file_bytes": temporary.stat().st_size,
            "sha256": sha256(temporary),
            "shape": list(*report.shapes) if len(report.shapes) == 1 else None,
            "odd": report.odd,
            "damaged": report.damaged,
        }
    write_json(task.report, found)
    return task.stop - task.start


def _records(task: ShardTask, read: Read, report: _Report) -> Iterator[bytes]:
    entries = open_entries(task.index, task.split)
    for index in range(task.start, task.stop):
        entry = entries.entry(task.split, index)
        data = read(entry.id, entry.place)
        try:
            report.note(entry, examine(data, task.encoding))
        except Damaged as error:
            report.damaged.append([index, entry.id, entry.label, str(error)])
            continue
        yield make_record(data, entry.label, entry.id)
