"""How fast data sets are built from an archive in ILSVRC2012's layout, and in how much memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from robustvit.benchmarks.loading import SOURCES, _image
from robustvit.core.files import read_json
from robustvit.core.sources import SCRIPTS
from robustvit.data.imagenet_labels import all_synsets, validation_name, validation_synsets
from robustvit.data.source_files import write_source
from robustvit.data.tar_writing import add_bytes, open_tar

DIFFERENT = 16  # generated photographs; the archive repeats them under other names
CLASS_BYTES = 64 << 20  # of one synset's tar, which is put together in memory
SECONDS_BETWEEN = 0.05


def write_archives(folder: Path, total_bytes: int, padding: int = 0) -> Path:
    """Write generated archives: noisy JPEGs of 500 × 375 pixels with about 110 kB.

    Args:
        folder: where to.
        total_bytes: of the training archive.
        padding: bytes added behind each JPEG, which decoders leave alone: a large archive of few
            images, whose building is quick.

    Returns:
        source.json.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    width, height, kind = SOURCES[224]
    images = [_image(random, width, height, kind) + bytes(padding) for _ in range(DIFFERENT)]
    per_class = max(1, min(CLASS_BYTES, total_bytes // 4) // len(images[0]))
    classes = max(1, min(1000, round(total_bytes / (per_class * len(images[0])))))
    synsets = all_synsets()[:classes]
    files = {name: folder / f"ILSVRC2012_img_{name}.tar" for name in ("train", "val")}
    with open_tar(files["train"]) as tar:
        for synset in synsets:
            inner = io.BytesIO()
            with open_tar(inner) as inner_tar:
                for number in range(per_class):
                    add_bytes(inner_tar, f"{synset}_{number}.JPEG", images[number % DIFFERENT])
            add_bytes(tar, f"{synset}.tar", inner.getvalue())
    with open_tar(files["val"]) as tar:
        for number, synset in enumerate(validation_synsets(), start=1):
            if synset in synsets and number <= 2000:
                add_bytes(tar, validation_name(number), images[number % DIFFERENT])
    write_source(folder / "source.json", "imagenet", files, "mirror")
    return folder / "source.json"


def measure_build(source: Path, folder: Path, workers: int) -> dict:
    """Build the set in processes of its own.

    Args:
        source: source.json of `write_archives`.
        folder: where to; it must not exist.
        workers: number of processes.

    Returns:
        {"workers", "images", "seconds" (of the wall), "cpu_seconds" (of all processes),
        "peak_mb" (resident memory of all processes together), "largest_mb" (of one of them),
        "sha256"}.
    """
    train = read_json(source)["files"]["train"]
    synsets = _synsets_of(source.parent / train)
    spec = {"dataset": "generated", "builder": "imagenet_classes", "options": {"classes": synsets}}
    command = [sys.executable, str(SCRIPTS / "build_dataset.py"), "--spec", json.dumps(spec)]
    command += ["--source", str(source), "--output", str(folder / "set" / "manifest.json")]
    command += ["--work-dir", str(folder / "work"), "--workers", str(workers)]
    before, start = os.times(), time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
    peak, largest = _watch(process)
    seconds, after = time.monotonic() - start, os.times()
    if process.returncode:
        raise RuntimeError(f"the build ended with {process.returncode}")
    manifest = read_json(folder / "set" / "manifest.json")
    return {
        "workers": workers,
        "images": sum(split["num_examples"] for split in manifest["splits"].values()),
        "seconds": seconds,
        "cpu_seconds": sum(after[2:4]) - sum(before[2:4]),
        "peak_mb": peak,
        "largest_mb": largest,
        "sha256": manifest["sha256"],
    }


def _synsets_of(path: Path) -> list[str]:
    from robustvit.data.members import tar_members

    return [Path(member.name).stem for member in tar_members(path)]


def _watch(process: subprocess.Popen) -> tuple[float, float]:
    """Peak of the resident memory of a process and all that it starts, together and each, in MB."""
    peak = largest = 0.0
    while process.poll() is None:
        sizes = [_resident_mb(pid) for pid in _family(process.pid)]
        peak, largest = max(peak, sum(sizes)), max(largest, *sizes)
        time.sleep(SECONDS_BETWEEN)
    return peak, largest


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
