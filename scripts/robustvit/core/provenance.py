"""Where a result comes from: commit, versions, device, seed, time."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

PACKAGES = ("torch", "torchvision", "timm", "pyautoattack", "tensorflow-datasets", "snakemake")


def collect(*, seed: int | None = None, device: str = "cpu", seconds: float | None = None) -> dict:
    """Return what has to be known to make the same result again, as plain JSON values."""
    return {
        "commit": git_commit(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": package_versions(),
        "device": device,
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "seed": seed,
        "seconds": None if seconds is None else round(seconds, 3),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide results, as installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def git_commit() -> str:
    """The checkout's commit, with `+changes` if tracked files differ, or "unknown"."""
    here = Path(__file__).parent
    commit = _git(here, "rev-parse", "HEAD")
    if not commit:
        return "unknown"
    dirty = _git(here, "status", "--porcelain", "--untracked-files=no")
    return commit + ("+changes" if dirty else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processor_name() -> str:
    """The processor's model name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
