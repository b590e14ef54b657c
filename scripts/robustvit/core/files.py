"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from robustvit.core.locks import hold_lock

# After so long without a change, what a process of another host was writing is given up.
ABANDONED_SECONDS = 24 * 3600


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; move it into place if the block succeeds.

    The bytes are flushed to the disk before the rename, so a crash leaves either the old file or
    the new one. If the block raises, the temporary file is removed and `path` is untouched. What
    killed processes left of earlier attempts is removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in _leftovers(path, path.suffix):
        stale.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` if the block succeeds.

    A lock beside it, `.<name>.lock`, keeps a second process out, and under it the folders that
    killed processes left are removed.

    Raises:
        UserError: if another process is writing the same folder.
    """
    path = Path(path)
    with hold_lock(path.with_name(f".{path.name}.lock"), _busy(path), remove=True):
        for stale in _leftovers(path):
            shutil.rmtree(stale, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
        try:
            yield temporary
            os.chmod(temporary, 0o755)
            if path.exists():
                shutil.rmtree(path)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _busy(path: Path) -> Callable[[str], str]:
    return lambda owner: (
        f"{path}: {owner} is writing this folder. Wait until it has finished, or end it, and "
        "start again."
    )


def _prefix(path: Path) -> str:
    """Start of a temporary name; it says whose it is, so that others can tell when it is stale."""
    return f".{path.name}.{_host()}-{os.getpid()}."


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]


def _leftovers(path: Path, suffix: str = "") -> list[Path]:
    """Temporary files or folders for `path` whose process does not live any more."""
    pattern = re.compile(
        rf"{re.escape(f'.{path.name}.')}((?P<host>\w+)-(?P<pid>\d+)\.)?\w{{8}}{re.escape(suffix)}"
    )
    start = f".{path.name}."
    names = [name for name in os.listdir(path.parent) if name.startswith(start)]
    matches = [match for name in names if (match := pattern.fullmatch(name))]
    return [path.with_name(match[0]) for match in matches if _is_stale(path.parent, match)]


def _is_stale(folder: Path, match: re.Match) -> bool:
    if match["host"] == _host():
        return not _is_alive(int(match["pid"]))
    try:
        return time.time() - os.stat(folder / match[0]).st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def _sync(path: Path) -> None:
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON with a final newline, atomically; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_yaml(path: str | Path, value: object) -> None:
    """Write `value` as YAML in its own key order, atomically."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading it in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
