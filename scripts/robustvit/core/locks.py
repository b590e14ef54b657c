"""Locks between processes that die with their owner."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from robustvit.core.errors import UserError

BUSY = (errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def hold_lock(path: Path, message: Callable[[str], str], *, remove: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for the time of the block, without waiting for it.

    The system releases the lock when its owner dies, however it dies, so a lock left behind by a
    killed process is taken over without asking. On a file system without locks a warning is
    printed: two processes would then do the same work twice, not spoil it, since all files are
    written atomically.

    Args:
        path: the lock file.
        message: makes the text of the error from the owner, for instance "process 5 on node3".
        remove: whether to remove the lock file at the end.

    Raises:
        UserError: if another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _open_locked(path, message) as handle:
        handle.truncate(0)
        handle.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        handle.flush()
        try:
            yield
        finally:
            if remove:
                path.unlink(missing_ok=True)


def _open_locked(path: Path, message: Callable[[str], str]) -> IO[str]:
    while True:
        handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller closes it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in BUSY:
                handle.close()
                raise UserError(message(_owner(path))) from error
            print(f"warning: {path} cannot be locked: {error}", file=sys.stderr)
            return handle
        # Between opening and locking, the owner before may have removed the file: such a lock
        # keeps nobody out.
        if _is_same_file(handle, path):
            return handle
        handle.close()


def _is_same_file(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "another process"
    return f"process {owner['pid']} on {owner['host']}"
