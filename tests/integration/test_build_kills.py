"""A build that is killed at any stage ends with the bytes of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "data"))

from archive_samples import SYNSETS, content, write_imagenet  # noqa: E402

OPTIONS = {"classes": list(SYNSETS)}
SPEC = {"dataset": "killed", "builder": "imagenet_classes", "options": OPTIONS}
# The program with small shards, which ends itself with SIGKILL at the n-th call of a function.
DRIVER = """
import json, multiprocessing, os, signal, sys
from importlib import import_module
from robustvit.data import shards
shards.SMALLEST_SHARD = 30_000
module, owner, function, calls = json.loads(os.environ["KILL"])

def counted(call):
    def run(*arguments, **options):
        global calls
        calls -= 1
        if calls == 0:
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return run

if module:
    place = import_module(f"robustvit.{module}")
    place = getattr(place, owner) if owner else place
    setattr(place, function, counted(getattr(place, function)))
import build_dataset
from robustvit.core.cli import run_cli
run_cli(build_dataset.main)
"""
NOWHERE = (None, None, None, 0)


def build(folder: Path, source: Path, workers: int, kill: tuple = NOWHERE):
    command = [sys.executable, "-c", DRIVER, "--spec", json.dumps(SPEC), "--source", str(source)]
    command += ["--output", str(folder / "set" / "manifest.json")]
    command += ["--work-dir", str(folder / "work"), "--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "KILL": json.dumps(kill)}
    environment["ROBUSTVIT_PROGRESS"] = str(folder / "progress")
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The archives, and the set that a build without kills makes of them."""
    folder = tmp_path_factory.mktemp("whole")
    source = write_imagenet(folder / "source", 40)
    done = build(folder, source, 1)
    assert done.returncode == 0, done.stderr
    found = content(folder / "set")
    assert len(found["manifest.json"]["splits"]["train"]["shards"]) > 6
    return source, found


def finished(folder: Path) -> dict[str, int]:
    """The inode of every shard that a killed build has finished."""
    reports = folder.glob("work/*/shards/[!.]*.json")
    return {path.stem: path.with_suffix(".records").stat().st_ino for path in reports}


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "workers outlive the build"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("stage", "workers", "kill"),
    [
        ("listing", 1, ("data.index", "IndexWriter", "add", 60)),
        ("inside a shard", 1, ("data.shards", "ShardFile", "write", 70)),
        ("between shards", 3, ("core.progress", "Progress", "update", 4)),
        ("putting together", 1, ("data.archive_building", None, "_link", 3)),
    ],
)
def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(tmp_path, whole, stage, workers, kill):
    source, expected = whole
    done = build(tmp_path, source, workers, kill)
    assert done.returncode == -signal.SIGKILL, done.stderr
    children = [int(pid) for pid in done.stdout.split()]
    assert len(children) == (workers if workers > 1 else 0)
    wait_for_end(children)
    assert not (tmp_path / "set").exists()
    kept = finished(tmp_path)
    assert bool(kept) == (stage != "listing")
    done = build(tmp_path, source, workers)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "set") == expected
    if kept:
        assert f"{len(kept)} of " in done.stderr and "shards are kept" in done.stderr
    inodes = {path.stat().st_ino for path in (tmp_path / "set" / "tfds").iterdir()}
    assert set(kept.values()) <= inodes  # what was finished is the very same file
    assert {path.name for path in tmp_path.iterdir()} <= {"set", "progress"}
