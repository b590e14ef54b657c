"""One process per training: a lock that dies with its owner."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from robustvit.core.errors import UserError

BUSY = (errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def exclusive_lock(path: str | Path) -> Iterator[None]:
    """Hold the lock file `path` for the time of the block.

    The system releases the lock when its owner dies, however it dies, so a lock left behind by a
    killed process is taken over without asking. On a file system without locks a warning is
    printed: two processes would then do the same work twice, not spoil it, since all files are
    written atomically.

    Raises:
        UserError: if another process holds it, with that process's host and id.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in BUSY:
                raise _busy(path) from error
            print(f"warning: {path} cannot be locked: {error}", file=sys.stderr)
        handle.truncate(0)
        handle.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        handle.flush()
        yield


def _busy(path: Path) -> UserError:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        owner = {"pid": "unknown", "host": "unknown"}
    return UserError(
        f"process {owner['pid']} on {owner['host']} is already training this experiment "
        f"(lock {path}). Wait for it, or end it; the work done so far is kept."
    )
