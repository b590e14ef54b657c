"""A training job on a disk that is really full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors import SafetensorError
from training_samples import train_spec

from robustvit.core.disk import NoSpace
from robustvit.models import weights
from robustvit.training.devices import open_device
from robustvit.training.job import run_job
from robustvit.training.outputs import OutputPaths
from robustvit.training.state import StateFolder

NAMES = (
    *("weights.safetensors", "metrics.csv", "config.yaml", "model_card.md", "steps.csv"),
    "epochs.safetensors",
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system of a given size; only root may."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(size: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])
        if done.returncode:
            pytest.skip("mounting a small file system is not allowed here")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], stderr=subprocess.DEVNULL)


def train(colours: Path, work: Path, results: Path, **options: object) -> None:
    run_job(
        train_spec(), dataset=colours, eval_dataset=colours, init_weights=None, work_dir=work,
        paths=OutputPaths(*(results / name for name in NAMES)), device=open_device("cpu", 1),
        monitoring={"every_steps": 1}, **options,
    )  # fmt: skip


def state_folder(work: Path) -> StateFolder:
    return StateFolder(next(work.iterdir()))


def test_no_room_for_a_state(colours, small_disk, tmp_path):
    disk = small_disk("100k")
    with pytest.raises(NoSpace, match=r"no space left for the resumable state in .*MB free"):
        train(colours, disk, tmp_path / "results", save_every=0)
    kept = state_folder(disk)
    assert not (tmp_path / "results").exists()
    assert {path.name for path in kept.folder.iterdir()} - {"lock", "steps.csv"} == {
        path.name for path in kept.generations()
    }


def test_no_room_for_the_results(colours, small_disk, tmp_path):
    disk, work = small_disk("32k"), tmp_path / "work"
    with pytest.raises(NoSpace, match=r"for the results in .*The training itself is done and kept"):
        train(colours, work, disk)
    assert state_folder(work).load()["step"] == 8
    assert not [path.name for path in disk.iterdir() if path.name.startswith(".")]
    assert not (disk / "weights.safetensors").exists()
    train(colours, work, tmp_path / "results")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(NAMES)
    assert state_folder(work).generations() == []


def test_safetensors_own_error_is_told_too(colours, tmp_path, monkeypatch):
    def full(*arguments: object, **options: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(NoSpace, match="no space left for the results"):
        train(colours, tmp_path / "work", tmp_path / "results")
    assert state_folder(tmp_path / "work").load()["step"] == 8
    assert not list((tmp_path / "results").glob(".*"))
