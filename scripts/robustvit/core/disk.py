"""A full disk, told in words, whichever library met it."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from robustvit.core.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)


class NoSpace(UserError):
    """There is no space left for what has to be written."""

    exit_code = errno.ENOSPC


@contextlib.contextmanager
def needs_space(folder: str | Path, what: str, kept: str = "") -> Iterator[None]:
    """Turn the error of a full disk inside the block into a `NoSpace`.

    `torch.save` and safetensors have errors of their own for it, which do not say what happened.

    Args:
        folder: where the block writes.
        what: what it writes, for instance "the resumable state".
        kept: a sentence on what the user still has.

    Raises:
        NoSpace: names the folder and the space that is left there.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise NoSpace(
            f"no space left for {what} in {folder} ({_free(Path(folder))} free). {kept} Free some "
            "space, or set `paths.results` in the configuration to a larger disk and move the "
            "results there; then start again."
        ) from error


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk (or quota) is what `error`, or one that it came from, is about."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(f"os error {number}" in str(error) for number in FULL):  # how Rust says it
            return True
        error = error.__cause__ or error.__context__
    return False


def _free(folder: Path) -> str:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB"
