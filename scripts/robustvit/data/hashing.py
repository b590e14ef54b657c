"""SHA-256 of archives, remembered: 148 GB are read once and not at every run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from robustvit.core.files import read_json, write_json
from robustvit.core.progress import Progress

REMEMBERED_BYTES = 32 << 20  # smaller files are read sooner than their note
BLOCK_BYTES = 1 << 20
FOLDER = "hashes"


def cached_digest(path: Path, notes: Path, algorithm: str = "sha256") -> str:
    """Digest of a file, read again only if its size or its time of modification changed.

    Args:
        path: the file.
        notes: folder of the remembered digests, made if needed.
        algorithm: of `hashlib`.

    Returns:
        Hexadecimal digits.
    """
    if path.stat().st_size < REMEMBERED_BYTES:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, algorithm).hexdigest()
    known = known_digest(path, notes, algorithm)
    if known is not None:
        return known
    before = _identity(path)
    found = _digest(path, algorithm)
    if before == _identity(path):  # else somebody is still writing it
        write_json(_note(path, notes, algorithm), before | {"digest": found})
    return found


def known_digest(path: Path, notes: Path, algorithm: str = "sha256") -> str | None:
    """The remembered digest of a file as it is now; None if it has to be read for that."""
    note = _note(path, notes, algorithm)
    if not note.is_file():
        return None
    noted = read_json(note)
    return noted.pop("digest") if noted.items() >= _identity(path).items() else None


def _identity(path: Path) -> dict:
    status = path.stat()
    return {"path": str(path.resolve()), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _note(path: Path, notes: Path, algorithm: str) -> Path:
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return notes / f"{path.name}-{key}.{algorithm}.json"


def _digest(path: Path, algorithm: str) -> str:
    digest, done = hashlib.new(algorithm), 0
    size = path.stat().st_size
    with open(path, "rb") as handle, Progress(size / 1e6, "MB", f"hash {path.name}") as progress:
        while block := handle.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            progress.update(round(done / 1e6))
    return digest.hexdigest()
