"""Reading the pickled batches of the official CIFAR archives without running code of theirs."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

from robustvit.core.errors import UserError

PICKLED = frozenset({"_reconstruct", "ndarray", "dtype"})


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for the official batches, which hold lists, bytes and NumPy arrays only."""

    def find_class(self, module: str, name: str) -> object:
        """Refuse everything that is not needed to rebuild a NumPy array."""
        if module.split(".")[0] != "numpy" or name not in PICKLED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_batch(tar: tarfile.TarFile, member: str, path: Path) -> dict:
    """Read one pickled batch, a dict with keys of bytes.

    Args:
        tar: the opened archive.
        member: name of the batch in it, for instance "cifar-100-python/train".
        path: of the archive, for messages.

    Raises:
        UserError: if the batch is missing or holds anything but data.
    """
    try:
        return _ArraysOnly(tar.extractfile(member), encoding="bytes").load()
    except (KeyError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path}: {member} cannot be read ({error}). Expected the official archive."
        ) from error
