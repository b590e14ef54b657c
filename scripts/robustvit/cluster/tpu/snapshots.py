"""A training's resumable state in the bucket: whole snapshots, so that none is half of two."""

from __future__ import annotations

import json
from pathlib import Path

from robustvit.cluster.tpu.bucket import Bucket

CURRENT = "current.json"
LOCK = "lock"  # of robustvit.training.state: belongs to one machine


class Snapshots:
    """Copies of the files below a folder.

    Args:
        bucket: where they are kept.
        folder: path of the folder, the same on every machine; its name in the bucket.
    """

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self._bucket, self._folder = bucket, folder
        self._prefix = f"state/{folder}"
        self._seen = self._marks()

    def restore(self) -> bool:
        """Put the last snapshot's files in place; whether there was one."""
        current = self._current()
        for name in current["files"] if current else ():
            self._bucket.download(f"{self._prefix}/{current['number']}/{name}", self._folder / name)
        self._seen = self._marks()
        return current is not None

    def save(self) -> bool:
        """Copy what has changed since the last call or `restore`; whether anything had."""
        marks = self._marks()
        if marks == self._seen or not marks:
            return False
        current = self._current()
        number = current["number"] + 1 if current else 0
        # States first: the other files only grow, so theirs is never shorter than the state says.
        files = sorted(marks, key=lambda name: (not name.endswith(".pt"), name))
        try:
            for name in files:
                self._bucket.put(f"{self._prefix}/{number}/{name}", self._folder / name)
        except FileNotFoundError:
            return False  # a state was replaced while it was copied: next time
        record = json.dumps({"number": number, "files": files})
        self._bucket.put(f"{self._prefix}/{CURRENT}", record.encode())
        self._seen = marks
        if current:
            old = (f"{self._prefix}/{current['number']}/{name}" for name in current["files"])
            self._bucket.delete(old)
        return True

    def clear(self) -> None:
        """Remove all: the training is finished."""
        self._bucket.delete(self._bucket.names(self._prefix))

    def _current(self) -> dict | None:
        content = self._bucket.get(f"{self._prefix}/{CURRENT}")
        return json.loads(content) if content else None

    def _marks(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file."""
        found = {}
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder)
            if path.name == LOCK or any(part.startswith(".") for part in name.parts):
                continue
            if path.is_file():
                status = path.stat()
                found[str(name)] = (status.st_size, status.st_mtime_ns)
        return found
