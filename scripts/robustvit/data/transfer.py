"""Bringing a large file here piece by piece: what came is kept, only a whole file has its name.

While `archive.tar` is on its way there are `archive.tar.partial` and `archive.tar.partial.json`,
which says of what file it is a part; afterwards `archive.tar.json` says where the file is from.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robustvit.core.disk import FULL, NoSpace
from robustvit.core.files import read_json, write_json
from robustvit.core.locks import hold_lock
from robustvit.core.progress import Progress

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between attempts after a connection broke


class DownloadError(Exception):
    """A transfer that failed for a reason outside this machine's disk."""


class BrokenError(DownloadError):
    """The connection broke, or there was none: what came is right and may be gone on from."""


class ChangedError(DownloadError):
    """The remote file changed while it was read: what came of it is a mixture."""


@dataclass(frozen=True)
class Reading:
    """An open remote file.

    Attributes:
        start: the first byte that comes: what was asked for, or 0 if it cannot go on there.
        total: size of the whole file in bytes, None if unknown.
        version: mark that changes with the file's content, None if there is none.
        blocks: the bytes from `start` on; ending early means that the connection broke.
    """

    start: int
    total: int | None
    version: str | None
    blocks: Iterator[bytes]


class Remote(Protocol):
    """Something that can be read from any byte on."""

    url: str

    def open(self, start: int, version: str | None) -> AbstractContextManager[Reading]:
        """Open at byte `start` if the file is still `version`, else at its first byte."""


def transfer(remote: Remote, path: Path, check: Callable[[Path], None] | None = None) -> Path:
    """Bring `remote` to `path` unless it is there; a broken transfer goes on where it stopped.

    Args:
        remote: what to bring.
        path: its place; only a complete and checked file gets this name.
        check: called with the complete file before it gets its name; if it raises, the file is
            removed, so that it is brought anew the next time.

    Returns:
        `path`.

    Raises:
        DownloadError: if the remote file cannot be read to its end; what came is kept.
        NoSpace: if the file does not fit on the disk.
        UserError: if another process is bringing the same file.
    """
    partial = path.with_name(f"{path.name}.partial")
    with hold_lock(path.with_name(f".{path.name}.lock"), lambda o: _busy(path, o), remove=True):
        if _is_current(remote, path):
            return path
        with _removed_if_wrong(partial):
            _bring(remote, partial)
            if check is not None:
                check(partial)
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        write_json(_note(path), read_json(_note(partial)))
        os.replace(partial, path)
        _note(partial).unlink()
    return path


def _busy(path: Path, owner: str) -> str:
    return f"{path}: {owner} is fetching this file. Wait until it has finished and start again."


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _is_current(remote: Remote, path: Path) -> bool:
    """Whether the file is here and, where that can be told without reading, unchanged there."""
    if not path.is_file() or not _note(path).is_file():
        return False
    noted, version = read_json(_note(path)), getattr(remote, "version", None)
    same = noted["url"] == remote.url and version in (None, noted["version"])
    return same and noted["total"] in (None, path.stat().st_size)


@contextlib.contextmanager
def _removed_if_wrong(partial: Path) -> Iterator[None]:
    """Keep what came if the connection broke, and nothing if its bytes are wrong."""
    try:
        yield
    except BrokenError:
        raise
    except DownloadError:
        partial.unlink(missing_ok=True)
        _note(partial).unlink(missing_ok=True)
        raise


def _bring(remote: Remote, partial: Path) -> None:
    """Append until the file is whole; give up after five attempts in a row that brought nothing."""
    fruitless, came_before = 0, False
    while True:
        before = _size(partial)
        try:
            if _append(remote, partial):
                return
            reason = f"it ended after {_size(partial)} bytes"
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in FULL:
                raise
            reason = str(error)
        came = _size(partial) > before
        came_before |= came
        fruitless = 0 if came else fruitless + 1
        if not came_before or fruitless > len(WAITS):
            raise BrokenError(f"{remote.url}: {reason}{_kept(partial)}")
        time.sleep(WAITS[max(fruitless - 1, 0)])


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _kept(partial: Path) -> str:
    if not _size(partial):
        return ""
    return f"; {_size(partial)} bytes of it are kept in {partial}, from where it goes on"


def _append(remote: Remote, partial: Path) -> bool:
    """Read on from what is there; return whether the file is whole now."""
    known, start = _known_part(remote, partial)
    if start and start == known["total"]:
        return True
    with remote.open(start, known.get("version")) as reading:
        note = {"url": remote.url, "version": reading.version, "total": reading.total}
        if reading.start not in (0, start):
            raise OSError(f"asked for byte {start} on, got byte {reading.start} on")
        if note != known:
            partial.unlink(missing_ok=True)
            write_json(_note(partial), note)
            if reading.start:  # the rest of another file than the one whose beginning is here
                return _append(remote, partial)
        _require_space(partial, reading)
        with open(partial, "ab" if reading.start else "wb") as out:
            _write(reading, out, remote.url)
    return reading.total in (None, _size(partial))


def _known_part(remote: Remote, partial: Path) -> tuple[dict, int]:
    """What is known of the part that is here, and its size; nothing if it is of another file."""
    if not partial.is_file() or not _note(partial).is_file():
        return {}, 0
    known = read_json(_note(partial))
    version = getattr(remote, "version", known["version"])
    if known["url"] != remote.url or known["version"] != version:
        return {}, 0
    return known, _size(partial)


def _write(reading: Reading, out: object, url: str) -> None:
    total = (reading.total or 0) / 1e6
    with Progress(total, "MB", f"fetch {url.rsplit('/', 1)[-1]}") as progress:
        for block in reading.blocks:
            out.write(block)
            progress.update(round(out.tell() / 1e6, 1))


def _require_space(partial: Path, reading: Reading) -> None:
    free = shutil.disk_usage(partial.parent).free
    missing = (reading.total or 0) - reading.start
    if missing > free:
        raise NoSpace(
            f"{partial.parent}: {missing / 1e9:.1f} GB are still to come, but only "
            f"{free / 1e9:.1f} GB are free. Free some space or set `paths.results` in the "
            "configuration to a larger disk, then start again: what came is kept."
        )
