"""Large arrays of small images in the layouts in which they are passed on, read in one pass."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from robustvit.core.errors import UserError
from robustvit.data.safety import readable

ROWS = 1024
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_labels(path: Path) -> np.ndarray:
    """Labels of an .npy file, or of the member `label` of an .npz file, as int64 [N].

    Raises:
        UserError: if they are not whole numbers in one row.
    """
    with readable(path):
        loaded = np.load(path, allow_pickle=False)
        labels = _member(loaded, path, "label") if path.suffix == ".npz" else loaded
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}: expected one whole number per image as labels, "
            f"found {labels.dtype} {list(labels.shape)}"
        )
    return labels.astype(np.int64)


def _member(archive: np.lib.npyio.NpzFile, path: Path, name: str) -> np.ndarray:
    if name not in archive.files:
        raise UserError(
            f"{path}: has no array `{name}` but {', '.join(archive.files)}; expected the arrays "
            "`image` (uint8 [N, height, width, 3]) and `label` ([N])"
        )
    return archive[name]


class ImageArray:
    """uint8 images [N, H, W, 3] in a file, read front to back without being held in memory.

    Args:
        path: .npy; .npz with an array `image`, compressed or not; or .bin, the bare bytes of one
            image after the other.
        shape: (height, width, 3) of an image.

    Raises:
        UserError: if the file holds something else.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path, self.shape = path, shape
        with readable(path):
            self._length = self._measure()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 [H, W, 3] in order.

        Raises:
            UserError: if the file is cut off.
        """
        with readable(self.path), self.open() as file:
            left = self._length
            while left:
                count = min(ROWS, left)
                content = file.read(count * math.prod(self.shape))
                if len(content) < count * math.prod(self.shape):
                    raise EOFError(f"{left - count} images before its end")
                yield from np.frombuffer(content, np.uint8).reshape(count, *self.shape)
                left -= count

    def _measure(self) -> int:
        if self.path.suffix == ".bin":
            images, rest = divmod(self.path.stat().st_size, math.prod(self.shape))
            return self._checked("bytes", (images, *self.shape), np.uint8, whole=rest == 0)
        with self._open_stored() as file:
            return self._checked("an array", *_read_header(file))

    def open(self) -> IO[bytes]:
        """Open the file at the first byte of the first image."""
        if self.path.suffix == ".bin":
            return self.path.open("rb")
        file = self._open_stored()
        _read_header(file)
        return file

    def _open_stored(self) -> IO[bytes]:
        if self.path.suffix == ".npy":
            return self.path.open("rb")
        archive = zipfile.ZipFile(self.path)
        if "image.npy" not in archive.namelist():
            _member(np.load(self.path, allow_pickle=False), self.path, "image")
        return archive.open("image.npy")

    def _checked(self, what: str, shape: tuple, dtype: type, whole: bool = True) -> int:
        if not whole or dtype != np.uint8 or tuple(shape[1:]) != self.shape:
            raise UserError(
                f"{self.path}: expected uint8 images of {list(self.shape)}, found {what} "
                f"{np.dtype(dtype)} {list(shape)}{'' if whole else ' and a part of one'}"
            )
        return shape[0]


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a stored array, whose first byte the file stands at afterwards."""
    read = HEADERS.get(np.lib.format.read_magic(file))
    if read is None:
        raise EOFError("an array of a kind that is not known")
    shape, by_columns, dtype = read(file)
    return shape if not by_columns else (), dtype
