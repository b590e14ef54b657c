"""CIFAR-100's 60,000 images: from a mirror, else from its home page."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.data.archives import readable
from robustvit.data.cifar_batches import load_batch
from robustvit.data.official import is_official
from robustvit.data.official_files import download_files, locate
from robustvit.data.source_files import notes_folder, write_source

FOLDER = "cifar-100-python"


def fetch(mirrors: list[str], folder: Path) -> None:
    """Write images.npy (uint8 [60000, 32, 32, 3], train then test), labels.npy, classes.json.

    Args:
        mirrors: folders with original archives; one that holds CIFAR-100 comes before any network.
        folder: an empty folder, which gets source.json too.

    Raises:
        UserError: if no source can be reached, or if the archive is damaged.
    """
    found = locate("cifar100", mirrors, folder) or download_files("cifar100", folder)
    path = found.files["archive"]
    images, labels, classes = read_archive(path)
    files = {name: folder / f"{name}.npy" for name in ("images", "labels")}
    np.save(files["images"], images)
    np.save(files["labels"], labels)
    files["classes"] = folder / "classes.json"
    write_json(files["classes"], classes)
    official = is_official("cifar100", "archive", path, notes_folder(folder))
    target = folder / "source.json"
    write_source(target, "cifar100", files, found.origin, found.detail, official)


def read_archive(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read the official archive: images, fine labels [60000], names of the 100 fine classes.

    Raises:
        UserError: if it is damaged or not CIFAR-100.
    """
    with readable(path), tarfile.open(path, "r:gz") as tar:
        batches = [load_batch(tar, f"{FOLDER}/{name}", path) for name in ("train", "test")]
        names = load_batch(tar, f"{FOLDER}/meta", path)[b"fine_label_names"]
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([np.asarray(batch[b"fine_labels"], np.uint8) for batch in batches])
    if pixels.shape != (60_000, 3072) or len(names) != 100:
        raise UserError(f"{path}: holds {pixels.shape} values, expected CIFAR-100's 60,000 images.")
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, labels, [name.decode() for name in names]
