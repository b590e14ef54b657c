"""What is refused in an archive that somebody else made: it must not reach out of its place.

Nothing is ever unpacked under a member's own name, so most of this could do no harm here. It is
refused all the same: an archive with such members is not what it says it is, and its images are
copied, counted and published under these names.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from robustvit.core.errors import UserError

# Photographs hardly compress. Bytes that grow more than this are padding, or made to fill a disk.
LARGEST_RATIO = 100
HARMLESS_BYTES = 64 << 20  # a small archive of blank pictures may grow as it likes
LARGEST_IMAGE_BYTES = 256 << 20
HEADER_BYTES = 1 << 20  # names and their extensions, all that is read of a member to list it


DAMAGED = (
    *(tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile),
    lzma.LZMAError,
)


@contextlib.contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn every sign of a damaged or truncated archive into a `UserError` that names it."""
    try:
        yield
    except DAMAGED as error:
        raise UserError(
            f"{path}: the archive is damaged or truncated ({error}). Expected a complete file in "
            "the official layout: copy or download it again and compare its size with the "
            "original's."
        ) from error


def check_name(name: str, archive: object) -> None:
    """Refuse a member whose name leads out of the archive.

    Raises:
        UserError: for an absolute name, one with "..", a drive letter or a zero byte.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    drive = re.match(r"[A-Za-z]:", name)
    if parts.is_absolute() or ".." in parts.parts or drive or "\0" in name:
        raise refused(archive, f"its member {name!r} leads out of it", "plain relative names")


def check_tar_member(member: tarfile.TarInfo, archive: object) -> None:
    """Refuse everything but files and folders with plain names.

    Raises:
        UserError: for links, devices, pipes, files with holes and names that lead out.
    """
    check_name(member.name, archive)
    if member.isdir() or (member.isreg() and not member.issparse()):
        return
    kind = "a link" if member.issym() or member.islnk() else "no plain file"
    raise refused(archive, f"its member {member.name!r} is {kind}", "files and folders only")


def check_zip(archive: zipfile.ZipFile, size: int) -> None:
    """Check the members of a zip by its directory, before any of them is read.

    Args:
        archive: the opened zip.
        size: of the file, in bytes.

    Raises:
        UserError: for links, encrypted members, names that lead out, or members that overlap or
            would grow out of proportion.
    """
    members, where = archive.infolist(), archive.filename
    for member in members:
        check_name(member.filename, where)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise refused(where, f"its member {member.filename!r} is a link", "plain files")
        if member.flag_bits & 1:
            raise refused(where, f"its member {member.filename!r} is encrypted", "plain files")
    if sum(member.compress_size for member in members) > size:
        raise refused(where, "its members overlap (a zip bomb)", "each byte once")
    check_growth(sum(member.file_size for member in members), size, where)


def check_growth(unpacked: int, packed: int, archive: object) -> None:
    """Refuse an archive that grows out of proportion when it is unpacked.

    Args:
        unpacked: bytes that come out, declared or counted so far.
        packed: bytes of the archive.
        archive: its name.

    Raises:
        UserError: if there are more than 100 for one (and 64 MB).
    """
    if unpacked > max(LARGEST_RATIO * packed, HARMLESS_BYTES):
        raise refused(
            archive,
            f"its {packed} bytes grow to {unpacked} or more (a bomb)",
            f"at most {LARGEST_RATIO} times as many bytes unpacked as packed",
        )


def check_image_bytes(size: int, name: str, archive: object) -> None:
    """Refuse an image that is too large to be one.

    Raises:
        UserError: if it has more than 256 MB.
    """
    if size > LARGEST_IMAGE_BYTES:
        most = LARGEST_IMAGE_BYTES >> 20
        raise refused(archive, f"its image {name} has {size} bytes", f"at most {most} MiB")


def refused(archive: object, what: str, expected: str) -> UserError:
    """The error for an archive that is not to be trusted."""
    return UserError(
        f"{archive}: refused, {what}. Expected {expected}: take the official archive, or pack the "
        "images anew, for instance with `tar cf images.tar folder`."
    )
