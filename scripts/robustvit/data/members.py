"""What is in an archive and where its bytes are, so that any part can be read at any time.

A plain tar is only walked through from header to header: nothing is unpacked, and memory does not
grow with it. Images inside are then read by their offset, by several processes at once.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from robustvit.core.errors import UserError
from robustvit.data.safety import (
    HEADER_BYTES,
    check_growth,
    check_tar_member,
    check_zip,
    readable,
    refused,
)

UNPACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
MAGIC_BYTES = 6
BLOCK = 1 << 20
TWO_HEADERS = 2 * tarfile.BLOCKSIZE  # what is read of a member: one block and what is before it


class Member(NamedTuple):
    """A file in an archive: its name, its first byte in the (unpacked) tar, its size."""

    name: str
    offset: int
    size: int


class TarView:
    """A tar, or one inside another, as `tarfile` wants it: read and go forwards.

    Args:
        file: an open file, or a stream that cannot go back.
        name: of the archive, for messages.
        part: the bytes of `file` that are the tar; all of them by default.
    """

    def __init__(self, file: IO[bytes], name: object, part: Member | None = None) -> None:
        self._file, self._name = file, name
        self._start = part.offset if part else 0
        self._size = part.size if part else None
        self._place, self.last = 0, b""
        if part:
            file.seek(self._start)

    def tell(self) -> int:
        """Place in the tar."""
        return self._place

    def seek(self, place: int) -> None:
        """Go to a place in the tar."""
        self._file.seek(self._start + place)
        self._place = place

    def read(self, size: int) -> bytes:
        """Read a header.

        Raises:
            UserError: if more is asked for than any header needs.
        """
        if size > HEADER_BYTES:
            raise refused(self._name, f"a member's name takes {size} bytes", "short names")
        if self._size is not None:
            size = max(0, min(size, self._size - self._place))
        self.last = self._file.read(size)
        self._place += len(self.last)
        return self.last


class Unpacking(io.RawIOBase):
    """The unpacked bytes of a compressed stream, forwards only, and not without end.

    Args:
        file: the compressed stream.
        packed: how many bytes it has.
        name: of the archive, for messages.
    """

    def __init__(self, file: IO[bytes], packed: int, name: object) -> None:
        opener = _unpacker(file.read(MAGIC_BYTES))
        file.seek(0)
        if opener is None:
            raise tarfile.ReadError("not a tar compressed by gzip, bzip2 or xz")
        self._stream, self._packed, self._name = opener(file, "rb"), packed, name
        self._place = 0

    def read(self, size: int = BLOCK) -> bytes:
        """Read up to `size` bytes.

        Raises:
            UserError: if the stream grows out of proportion.
        """
        data = self._stream.read(size)
        self._place += len(data)
        check_growth(self._place, self._packed, self._name)
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        """Skip to a later place."""
        while self._place < place and self.read(min(BLOCK, place - self._place)):
            pass
        return self._place


def _unpacker(start: bytes) -> Callable | None:
    return next((opener for magic, opener in UNPACKERS.items() if start.startswith(magic)), None)


def is_compressed(path: Path) -> bool:
    """Whether a file is compressed by gzip, bzip2 or xz."""
    with open(path, "rb") as file:
        return _unpacker(file.read(MAGIC_BYTES)) is not None


def tar_members(path: Path, part: Member | None = None) -> Iterator[Member]:
    """List the files of a plain tar, or of a plain tar inside it, with offsets into `path`.

    Args:
        path: the archive.
        part: the member of `path` that is the tar to list.

    Raises:
        UserError: if it is damaged, truncated or hostile.
    """
    name = f"{path}:{part.name}" if part else path
    base = part.offset if part else 0
    with readable(name), open(path, "rb", buffering=TWO_HEADERS) as file:
        for member in _walk(TarView(file, name, part), name):
            end, size = member.offset + member.size, os.fstat(file.fileno()).st_size - base
            if end > (part.size if part else size):
                raise tarfile.ReadError(f"{member.name} is cut off")
            yield member._replace(offset=base + member.offset)


def compressed_tar_members(path: Path, inner: str | None = None) -> Iterator[Member]:
    """List the files of a compressed tar, with offsets into the unpacked tar.

    Args:
        path: the tar, or a zip that holds it.
        inner: name of the tar in the zip.

    Raises:
        UserError: if it is damaged, truncated or hostile.
    """
    with open_compressed(path, inner) as (stream, name), readable(name):
        yield from _walk(TarView(stream, name), name)
        while stream.read(BLOCK):  # to the end, where the checksum is
            pass


@contextlib.contextmanager
def open_compressed(path: Path, inner: str | None = None) -> Iterator[tuple[Unpacking, str]]:
    """Open the unpacked stream of a compressed tar; yields it and its name for messages."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(readable(path))
        if inner is None:
            file = stack.enter_context(open(path, "rb"))
            yield Unpacking(file, path.stat().st_size, path), str(path)
            return
        archive = stack.enter_context(open_zip(path))
        file = stack.enter_context(archive.open(inner))
        name = f"{path}:{inner}"
        yield Unpacking(file, archive.getinfo(inner).file_size, name), name


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose members have been checked.

    Raises:
        UserError: if it is damaged or hostile.
    """
    with readable(path), zipfile.ZipFile(path) as archive:
        check_zip(archive, path.stat().st_size)
        yield archive


def zip_members(path: Path) -> Iterator[Member]:
    """List the files of a zip; they are read by their names, so all offsets are 0."""
    with open_zip(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield Member(member.filename, 0, member.file_size)


def folder_members(root: Path) -> Iterator[Member]:
    """List the files below a folder in the order of their names.

    They are read by their names, so all offsets are 0. Links are followed, but for those to a
    folder that they lie in: its files are listed anyway.

    Raises:
        UserError: if a folder cannot be read, a link leads nowhere or a name is not UTF-8: nothing
            is left out silently.
    """
    yield from _folder_members(root, root, ())


def _folder_members(
    root: Path, place: Path, around: tuple[tuple[int, int], ...]
) -> Iterator[Member]:
    """Files of `place`; `around` are the folders that it lies in, as (device, inode)."""
    try:
        status = place.stat()
        inside = (status.st_dev, status.st_ino)
        if inside in around:
            return
        for path in sorted(place.iterdir()):
            _check_name(path)
            if path.is_dir():
                yield from _folder_members(root, path, (*around, inside))
            else:
                yield Member(path.relative_to(root).as_posix(), 0, path.stat().st_size)
    except OSError as error:
        path = error.filename or place
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). Expected files and folders that you may "
            "read, and no links that lead nowhere."
        ) from error


def _check_name(path: Path) -> None:
    """Names become ids, and ids are text."""
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path.name).decode("latin-1")
        raise UserError(
            f"{path.parent}: the name of {shown!r} is not UTF-8. Rename it; "
            "`convmv -f latin1 -t utf8 -r --notest .` renames all of a folder."
        ) from error


def listing_hash(root: Path) -> str:
    """SHA-256 of the lines "name size" of a folder's files: to read them all would take long.

    Which bytes were read is said by the hashes of the shards.
    """
    digest = hashlib.sha256()
    for member in folder_members(root):
        digest.update(os.fsencode(f"{member.name} {member.size}\n"))
    return digest.hexdigest()


def _walk(view: TarView, name: object) -> Iterator[Member]:
    """Yield the files of a tar and make sure that its end marker is there.

    `tarfile` ends silently where a header is cut off, so a truncated archive would look like a
    smaller one.
    """
    tar = tarfile.open(fileobj=view, mode="r:")  # noqa: SIM115 - the caller closes the file
    while (member := tar.next()) is not None:
        tar.members.clear()  # it would keep them all
        check_tar_member(member, name)
        if member.isreg():
            yield Member(member.name, member.offset_data, member.size)
    if view.last != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the end marker is missing")
