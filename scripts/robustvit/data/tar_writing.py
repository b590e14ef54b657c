"""Archives whose bytes depend on their contents only: no clock, no user, no machine."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold


def add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file with a fixed date and owner to a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@contextlib.contextmanager
def open_tar(path: Path | io.BytesIO) -> Iterator[tarfile.TarFile]:
    """Open a plain tar for writing, in a file or in memory."""
    fileobj = path if isinstance(path, io.BytesIO) else None
    name = None if fileobj else path
    with tarfile.open(name, "w", fileobj, format=tarfile.USTAR_FORMAT) as tar:
        yield tar


@contextlib.contextmanager
def open_tgz(path: Path | io.BytesIO) -> Iterator[tarfile.TarFile]:
    """Open a gzipped tar for writing; the gzip header holds no date and no name."""
    with contextlib.ExitStack() as stack:
        raw = path if isinstance(path, io.BytesIO) else stack.enter_context(open(path, "wb"))
        # JPEGs hardly compress, so the fastest level costs nothing in size.
        packed = stack.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0))
        yield stack.enter_context(open_tar_stream(packed))


@contextlib.contextmanager
def open_tar_stream(stream: gzip.GzipFile) -> Iterator[tarfile.TarFile]:
    """Open a tar that writes into an already open stream."""
    with tarfile.open(None, "w", stream, format=tarfile.USTAR_FORMAT) as tar:
        yield tar


def write_zip(path: Path, name: str, data: bytes) -> None:
    """Write a zip that holds one stored file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name, FIXED_DATE), data)
