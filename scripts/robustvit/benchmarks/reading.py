"""Readers timed by turns, each in a process of its own and in the environment that it needs."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WORKER = Path(__file__).with_name("reading_worker.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Reader:
    """A module of `benchmarks.readers`.

    Attributes:
        label: what the table calls it.
        module: that it cannot run without, if it is not of the main environment.
        transforms: which it is timed with.
    """

    label: str
    module: str | None = None
    transforms: tuple[str, ...] = ("train", "evaluation")


READERS = {
    "decoder": Reader("decoder alone (simplejpeg)", transforms=("train",)),
    "decoder_pillow": Reader("decoder alone (Pillow)", transforms=("train",)),
    "project": Reader("this project"),
    "project_pillow": Reader("this project, `resizer: pillow`", transforms=("train",)),
    "imagefolder": Reader("torchvision ImageFolder (Pillow)"),
    "imagefolder_simplejpeg": Reader("torchvision ImageFolder, simplejpeg"),
    "tf_data": Reader("tf.data, fused decode and crop", "tensorflow"),
    "tf_data_antialias": Reader("tf.data, fused, antialiased", "tensorflow"),
    "grain_records": Reader("grain, simplejpeg", "grain"),
    "webdataset_tar": Reader("webdataset, simplejpeg", "webdataset"),
}


def runnable(python: Path | None) -> dict[str, str]:
    """The interpreter for each reader that can run: this one, or one that has what is missing."""
    found = {}
    for name, reader in READERS.items():
        if reader.module is None or importlib.util.find_spec(reader.module):
            found[name] = sys.executable
        elif python is not None and _has(python, reader.module):
            found[name] = str(python)
    return found


def _has(python: Path, module: str) -> bool:
    test = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    return subprocess.run([str(python), "-c", test], check=False).returncode == 0


class Worker:
    """A reader in its process.

    Args:
        name: of the reader.
        python: interpreter.
        folder: of the layouts (`layouts.write_layouts`).
        transform: "train" or "evaluation".
        batch_size: images at a time.
    """

    def __init__(self, name: str, python: str, folder: Path, transform: str, batch_size: int):
        command = [python, str(WORKER), name, str(folder), transform, str(batch_size)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **ONE_THREAD},
        )  # fmt: skip

    def speed(self, seconds: float) -> float:
        """Images per second of the process' CPU time, over at least that time.

        Raises:
            RuntimeError: if the process has ended.
        """
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the reader ended with code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def time_readers(
    chosen: dict[str, str], folder: Path, transform: str, rounds: int, seconds: float,
    batch_size: int = 32,
) -> dict[str, list[float]]:  # fmt: skip
    """Images per second and core of each reader, `rounds` times by turns, after a warm-up.

    Args:
        chosen: interpreter by reader.
        folder: of the layouts.
        transform: "train" or "evaluation"; readers without it are left out.
        rounds: measurements of each.
        seconds: CPU time of a measurement.
    """
    names = [name for name in chosen if transform in READERS[name].transforms]
    workers = {}
    try:
        for name in names:
            workers[name] = Worker(name, chosen[name], folder, transform, batch_size)
            workers[name].speed(0.0)
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, worker in workers.items():
                found[name].append(worker.speed(seconds))
        return found
    finally:
        for worker in workers.values():
            worker.close()


def speed_rows(speeds: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """A row per reader: the median and the range of its speeds with each transform."""
    rows = []
    for name, reader in READERS.items():
        cells = [_cell(found.get(name)) for found in speeds.values()]
        if any(cells):
            rows.append([reader.label, *cells])
    return rows


def _cell(speeds: list[float] | None) -> str:
    if not speeds:
        return ""
    return f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f})"
