"""Reading single images out of an archive, from any process: what a plan's `reader` can be."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import numpy as np

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path
from robustvit.data.members import (
    BLOCK,
    Member,
    compressed_tar_members,
    folder_members,
    is_compressed,
    open_compressed,
    open_zip,
    tar_members,
    zip_members,
)
from robustvit.data.png import encode_png
from robustvit.data.safety import readable


class Place(NamedTuple):
    """Where an image is: which file of the reader, from which byte (or row) on, how many bytes."""

    file: int
    offset: int
    size: int


Read = Callable[[str, Place], bytes]


class Reader(Protocol):
    """Gives the bytes of an image by its id and place.

    It is sent to the processes that build the shards, so it holds paths and no open file.
    """

    def prepare(self, scratch: Path) -> Reader:
        """Make ready for reading in any order; what has to be unpacked goes into `scratch`."""

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """Open the files and yield the function that reads one image."""


@dataclass(frozen=True)
class TarReader:
    """Images at known offsets of plain tars (or of other files), of which nothing is unpacked."""

    paths: tuple[Path, ...]

    def prepare(self, scratch: Path) -> TarReader:
        """Nothing is to be done."""
        return self

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """Open the files and yield the function that reads one image."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(path, "rb")).fileno() for path in self.paths]
            yield lambda _, place: self._read(files[place.file], place)

    def _read(self, file: int, place: Place) -> bytes:
        data = os.pread(file, place.size, place.offset)
        if len(data) < place.size:
            raise UserError(
                f"{self.paths[place.file]}: it is shorter than when the build began. Put the "
                "complete archive back and start again."
            )
        return data


@dataclass(frozen=True)
class CompressedTarReader:
    """Images of a compressed tar, which is unpacked once to one tar in the scratch folder.

    Attributes:
        path: the tar, or a zip that holds it.
        inner: name of the tar in the zip, if it is in one.
    """

    path: Path
    inner: str | None = None

    def prepare(self, scratch: Path) -> TarReader:
        """Unpack the tar; one that an interrupted build has unpacked is used again.

        Raises:
            UserError: if it is damaged, or grows out of proportion.
        """
        unpacked = scratch / "unpacked.tar"
        if not unpacked.exists():
            with open_compressed(self.path, self.inner) as (stream, _):
                _copy(stream, unpacked)
        return TarReader((unpacked,))

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """It has to be prepared first."""
        raise UserError(f"{self.path}: a compressed tar is read after `prepare` only")


def _copy(stream: IO[bytes], path: Path) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        while data := stream.read(BLOCK):
            file.write(data)


@dataclass(frozen=True)
class ZipReader:
    """Images of a zip; their ids are the members' names."""

    path: Path

    def prepare(self, scratch: Path) -> ZipReader:
        """Nothing is to be done."""
        return self

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """Open the zip and yield the function that reads one image."""
        with readable(self.path), open_zip(self.path) as archive:
            yield lambda name, _: archive.read(name)


@dataclass(frozen=True)
class FolderReader:
    """Images of a folder; their ids are the paths below it."""

    root: Path

    def prepare(self, scratch: Path) -> FolderReader:
        """Nothing is to be done."""
        return self

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """Yield the function that reads one image."""
        yield self._read

    def _read(self, name: str, place: Place) -> bytes:
        data = (self.root / name).read_bytes()
        if len(data) != place.size:
            raise UserError(
                f"{self.root / name}: it had {place.size} bytes when the build began and has "
                f"{len(data)} now. Start again once the folder does not change any more."
            )
        return data


@dataclass(frozen=True)
class ArrayReader:
    """Rows of an array of uint8 images in a file, as PNG; the offset of a place is the row.

    Attributes:
        path: .npy or .npz (see `image_arrays.ImageArray`) or bare bytes.
        shape: (height, width, 3) of an image.
        start: byte of the first image, if it is known.
    """

    path: Path
    shape: tuple[int, int, int]
    start: int = 0

    @property
    def png_bytes(self) -> int:
        """Size of every image as PNG: `encode_png` does not compress."""
        return len(encode_png(np.zeros(self.shape, np.uint8)))

    def prepare(self, scratch: Path) -> ArrayReader:
        """Find the first image; an array in an .npz is copied out of it first."""
        from robustvit.data.image_arrays import ImageArray

        array = ImageArray(self.path, self.shape)
        path = self.path
        if path.suffix == ".npz":
            path = scratch / "images.bin"
            if not path.exists():
                with readable(self.path), array.open() as stream:
                    _copy(stream, path)
            return replace(self, path=path)
        with readable(path), array.open() as stream:
            return replace(self, start=stream.tell())

    @contextlib.contextmanager
    def open(self) -> Iterator[Read]:
        """Open the file and yield the function that reads one image."""
        size = int(np.prod(self.shape))
        with open(self.path, "rb") as file, readable(self.path):
            yield lambda _, place: self._read(file.fileno(), size, place.offset)

    def _read(self, file: int, size: int, row: int) -> bytes:
        data = os.pread(file, size, self.start + row * size)
        if len(data) < size:
            raise EOFError(f"image {row} is cut off")
        return encode_png(np.frombuffer(data, np.uint8).reshape(self.shape))


def is_zip(path: Path) -> bool:
    """Whether a file is a zip; `zipfile.is_zipfile` takes a tar that ends with a zip for one."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK" and zipfile.is_zipfile(path)


def open_archive(path: Path) -> tuple[Callable[[], Iterator[Member]], Reader]:
    """A folder, zip or tar of any compression: a function that lists its files, and their reader.

    Raises:
        UserError: if it is none of these.
    """
    if path.is_dir():
        return partial(folder_members, path), FolderReader(path)
    if is_zip(path):
        return partial(zip_members, path), ZipReader(path)
    if is_compressed(path):
        return partial(compressed_tar_members, path), CompressedTarReader(path)
    return partial(tar_members, path), TarReader((path,))
