"""The resumable state of a training: two generations on the disk, each with its checksum."""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

import torch

from robustvit.core.disk import needs_space
from robustvit.core.files import atomic_path

GENERATIONS = 2
DIGEST_BYTES = 32
LOCK = "lock"
DAMAGED = ".damaged"


class CorruptState(Exception):
    """A state file that is not what was written."""


class StateFolder:
    """State files `state-<step>.pt` in one folder: SHA-256 of the content, then the content.

    All randomness of a training is derived from its seed, so that no random state has to be kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def generations(self) -> list[Path]:
        """State files, the newest first."""
        return sorted(self.folder.glob("state-*.pt"), reverse=True)

    def save(self, step: int, state: dict) -> Path:
        """Write the state after `step` steps; drop all but the two newest generations.

        Raises:
            NoSpace: if the disk is full; the states before are kept.
        """
        path = self.folder / f"state-{step:012d}.pt"
        told = needs_space(self.folder, "the resumable state", self._kept())
        with told, atomic_path(path) as temporary:
            _write(temporary, state)
        for old in self.generations()[GENERATIONS:]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> dict | None:
        """Read the newest state that is whole; None if there is none.

        A damaged file is passed over with a warning and renamed to `….damaged`. If none is whole
        the training starts anew: nothing is left to go on from, and a run of many jobs should not
        wait for a person who could only say the same.
        """
        found = self.generations()
        for path, before in zip(found, [*found, None][1:], strict=True):
            try:
                return _read(path)
            except CorruptState as error:
                path.rename(path.with_suffix(DAMAGED))
                then = f"going back to {before.name}" if before else "starting anew"
                print(f"warning: {error}; {then}", file=sys.stderr, flush=True)
        return None

    def _kept(self) -> str:
        kept = self.generations()
        return f"The last good state, {kept[0].name}, is kept." if kept else ""

    def clear(self) -> None:
        """Remove all but the lock: the training is finished and its results are written.

        The states go first: a training that is stopped here starts anew and not in the middle.
        """
        for path in [*self.generations(), *self.folder.iterdir()]:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)

    def remove_temporary(self) -> None:
        """Remove what a process that was killed while it wrote has left behind."""
        for path in self.folder.glob(".state-*.pt*"):
            path.unlink(missing_ok=True)


def check_finite(state: dict) -> None:
    """Refuse a state whose weights are broken: it must not replace a good one.

    Args:
        state: of a run, on the host: looking costs an accelerator nothing there.

    Raises:
        FloatingPointError: if a weight is NaN or infinite.
    """
    for name, value in state["model"].items():
        if not bool(value.isfinite().all()):
            raise FloatingPointError(f"{name} is not finite")


def _write(path: Path, state: dict) -> None:
    with open(path, "wb") as handle:
        handle.write(bytes(DIGEST_BYTES))
        writer = _HashingWriter(handle)
        torch.save(state, writer)
        handle.seek(0)
        handle.write(writer.digest())


def _read(path: Path) -> dict:
    content = path.read_bytes()
    digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if not payload or hashlib.sha256(payload).digest() != digest:
        raise CorruptState(f"state file {path} is damaged ({len(content)} bytes)")
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


class _HashingWriter:
    """Pass bytes on to a file and hash them on the way; `torch.save` writes in order."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        return self._handle.write(content)

    def flush(self) -> None:
        self._handle.flush()

    def digest(self) -> bytes:
        return self._hash.digest()
