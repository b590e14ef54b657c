"""One process per training: a lock that dies with its owner."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from robustvit.core.locks import hold_lock


def exclusive_lock(path: str | Path) -> AbstractContextManager[None]:
    """Hold the lock file `path` of a training for the time of the block; see `hold_lock`.

    Raises:
        UserError: if another process holds it, with that process's host and id.
    """
    return hold_lock(
        Path(path),
        lambda owner: (
            f"{owner} is already training this experiment (lock {path}). Wait for it, or end it; "
            "the work done so far is kept."
        ),
    )
