"""A training's resumable state in the bucket: whole snapshots, so that none is half of two.

`owner.json` names the start of the training that may write, the newest; `current.json` its last
whole snapshot, whose files are in `<owner>/<number>/`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from robustvit.cluster.tpu.bucket import Absent, Bucket
from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json

CURRENT, OWNER = "current.json", "owner.json"
LOCK = "lock"  # of robustvit.training.state: belongs to one machine
HERE = ".snapshot.json"  # which snapshot the files on this disk are, or come after
PART = ".restored"
TRIES = 3


class Superseded(UserError):
    """A later start of the same training has taken over its state."""


class Snapshots:
    """Copies of the files below a folder.

    Args:
        bucket: where they are kept.
        folder: path of the folder.
        name: of the folder in the bucket; by default its path below `state/`.
        owner: the start of the training; a later one compares as greater.
    """

    def __init__(
        self, bucket: Bucket, folder: Path, name: str | None = None, owner: str = "0"
    ) -> None:
        self._bucket, self._folder, self._owner = bucket, folder, owner
        self._prefix = name or f"state/{folder}"
        self._seen: dict = {}  # what a disk has and the bucket has not is copied, too

    def claim(self, ready: bool) -> None:
        """Take the state over from earlier starts.

        Args:
            ready: whether the state in the bucket is what this start goes on from.

        Raises:
            Superseded: if a later start has it.
        """
        found = self._claimed()
        if found and found["owner"] > self._owner:
            raise Superseded(
                f"{self._folder}: the same training was started again elsewhere, at a later time, "
                "and goes on there"
            )
        record = {"owner": self._owner, "ready": ready}
        if found != record:
            self._put(OWNER, record)

    def is_ready(self) -> bool:
        """Whether this start's first host has settled what all hosts go on from."""
        found = self._claimed()
        return found is not None and found["owner"] >= self._owner and found["ready"]

    def restore(self, first: bool = True) -> bool:
        """Put the last snapshot's files in place of what is there; whether there was one.

        Files of this disk that come after the last snapshot are kept, and copied to the bucket.

        Args:
            first: whether this host settles what all go on from; else `is_ready` was waited for.

        Raises:
            Superseded: if a later start has the state.
        """
        if first:
            self.claim(ready=False)
        found = self._restore(first)
        if first:
            self.claim(ready=True)
        return found

    def save(self) -> bool:
        """Copy what has changed since the last call or `restore`; whether anything had.

        Raises:
            Superseded: if a later start has the state.
        """
        marks = self._marks()
        self.claim(ready=True)
        if marks == self._seen or not marks:
            return False
        current = self._current()
        number = current["number"] + 1 if current else 0
        # States first: the other files only grow, so theirs is never shorter than the state says.
        files = sorted(marks, key=lambda name: (not name.endswith(".pt"), name))
        record = {"number": number, "files": files, "owner": self._owner}
        try:
            for name in files:
                self._bucket.put(_place(self._prefix, record, name), self._folder / name)
        except FileNotFoundError:
            return False  # a state was replaced while it was copied: next time
        self.claim(ready=True)  # once more: copying may take minutes
        self._note(record, current, marks)
        self._put(CURRENT, record)
        self._seen = marks
        self._remove_old(record, current)
        return True

    def clear(self) -> None:
        """Remove all but whose it was: the training is finished.

        Raises:
            Superseded: if a later start has the state.
        """
        self.claim(ready=True)
        # First: a record without its files would be taken for a state.
        self._bucket.delete([f"{self._prefix}/{CURRENT}"])
        kept = f"{self._prefix}/{OWNER}"
        self._bucket.delete(name for name in self._bucket.names(self._prefix) if name != kept)

    def _restore(self, first: bool) -> bool:
        for _ in range(TRIES):
            current = self._current()
            if current is None:
                return False
            if first and self._comes_after(current):
                self.save()
                return True
            try:
                self._fetch(current)
            except Absent:
                if self._current() != current:
                    continue  # it was replaced while it was copied
                print(
                    f"warning: {self._prefix}/{CURRENT} names a snapshot that is not in the bucket "
                    "any more: there is no state to go on from",
                    file=sys.stderr,
                    flush=True,
                )
                return False
            return True
        raise UserError(f"{self._prefix}: its snapshots are replaced faster than they are read")

    def _fetch(self, current: dict) -> None:
        """Replace the folder's files by a snapshot's, once all of them are here."""
        part = self._folder / PART
        shutil.rmtree(part, ignore_errors=True)
        for name in current["files"]:
            self._bucket.download(_place(self._prefix, current, name), part / name)
        for name in self._marks():
            (self._folder / name).unlink()
        for name in current["files"]:
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).rename(self._folder / name)
        shutil.rmtree(part, ignore_errors=True)
        self._seen = self._marks()
        self._note(current, None, self._seen)

    def _comes_after(self, current: dict) -> bool:
        """Whether the files here are the current snapshot's, or were made from it."""
        path = self._folder / HERE
        if not self._marks() or not path.is_file():
            return False
        here = read_json(path)
        if _identity(current) not in (here["is"], here["after"]):
            return False
        if _identity(current) == here["is"]:
            self._seen = {name: tuple(mark) for name, mark in here["marks"].items()}
        return True

    def _note(self, record: dict, after: dict | None, marks: dict) -> None:
        names = {"is": _identity(record), "after": _identity(after) if after else None}
        write_json(self._folder / HERE, {**names, "marks": marks})

    def _remove_old(self, record: dict, before: dict | None) -> None:
        """Remove the snapshot before, and what was begun and given up."""
        old = [_place(self._prefix, before, name) for name in before["files"]] if before else []
        own, kept = f"{self._prefix}/{self._owner}", {
            _place(self._prefix, record, name) for name in record["files"]
        }  # fmt: skip
        self._bucket.delete({*old, *self._bucket.names(own)} - kept)

    def _current(self) -> dict | None:
        return self._read(CURRENT)

    def _claimed(self) -> dict | None:
        return self._read(OWNER)

    def _read(self, name: str) -> dict | None:
        content = self._bucket.get(f"{self._prefix}/{name}")
        return json.loads(content) if content else None

    def _put(self, name: str, record: dict) -> None:
        self._bucket.put(f"{self._prefix}/{name}", json.dumps(record).encode())

    def _marks(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file."""
        found = {}
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder)
            if path.name == LOCK or any(part.startswith(".") for part in name.parts):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found[str(name)] = (status.st_size, status.st_mtime_ns)
        return found


def _place(prefix: str, record: dict, name: str) -> str:
    return f"{prefix}/{record['owner']}/{record['number']}/{name}"


def _identity(record: dict) -> list:
    return [record["owner"], record["number"]]
