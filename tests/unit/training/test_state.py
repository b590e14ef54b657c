"""The resumable state on the disk, the lock, and the metrics file."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
import sys

import pytest
import torch

from robustvit.core.disk import NoSpace
from robustvit.core.errors import UserError
from robustvit.training import state
from robustvit.training.lock import exclusive_lock
from robustvit.training.metrics import COLUMNS, write_metrics
from robustvit.training.state import StateFolder

HOLD = (
    "import sys, time; sys.path.insert(0, sys.argv[2])\n"
    "from robustvit.training.lock import exclusive_lock\n"
    "with exclusive_lock(sys.argv[1]):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def test_two_generations_are_kept_and_the_newest_is_read(tmp_path):
    states = StateFolder(tmp_path)
    for step in (1, 2, 3):
        states.save(step, {"step": step, "weights": torch.full((4,), float(step))})
    assert [path.name for path in states.generations()] == [
        "state-000000000003.pt",
        "state-000000000002.pt",
    ]
    assert states.load()["step"] == 3
    states.clear()
    assert list(tmp_path.iterdir()) == []
    assert states.load() is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_state_falls_back_to_the_one_before(tmp_path, capsys, damage):
    states = StateFolder(tmp_path)
    states.save(1, {"step": 1, "weights": torch.zeros(100)})
    newest = states.save(2, {"step": 2, "weights": torch.zeros(100)})
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    newest.write_bytes({"truncated": content[:200], "flipped": content, "empty": b""}[damage])
    assert states.load()["step"] == 1
    warning = capsys.readouterr().err
    assert "state-000000000002.pt is damaged" in warning
    assert "going back to state-000000000001.pt" in warning
    assert [path.name for path in states.generations()] == ["state-000000000001.pt"]
    assert newest.with_suffix(".damaged").exists()


def test_without_any_whole_state_a_training_starts_anew_and_says_so(tmp_path, capsys):
    states = StateFolder(tmp_path)
    for step in (1, 2):
        states.save(step, {"step": step}).write_bytes(b"x" * 100)
    assert states.load() is None
    assert "state-000000000001.pt is damaged (100 bytes); starting anew" in capsys.readouterr().err
    states.save(1, {"step": 1})
    assert states.load()["step"] == 1
    states.clear()
    assert list(tmp_path.iterdir()) == []


class FullDisk(io.FileIO):
    """A file on a disk that has room for so many bytes only."""

    room = 1000

    def write(self, content: bytes) -> int:
        if self.tell() + len(content) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


@pytest.mark.parametrize("room", [0, 100, 1000, 4000])
def test_a_full_disk_keeps_the_old_states(tmp_path, monkeypatch, room):
    states = StateFolder(tmp_path)
    states.save(1, {"step": 1})
    monkeypatch.setattr(FullDisk, "room", room)
    monkeypatch.setattr(state, "open", FullDisk, raising=False)
    with pytest.raises(NoSpace) as caught:
        states.save(2, {"step": 2, "weights": torch.zeros(1000)})
    for text in ("no space left", str(tmp_path), "MB free", "state-000000000001.pt, is kept"):
        assert text in str(caught.value)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["state-000000000001.pt"]
    assert states.load()["step"] == 1


def test_a_second_process_is_refused_and_a_dead_ones_lock_is_taken_over(tmp_path):
    lock = tmp_path / "lock"
    scripts = next(path for path in sys.path if path.endswith("scripts"))
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock), scripts], stdout=subprocess.PIPE
    )
    try:
        owner.stdout.readline()
        with (
            pytest.raises(UserError, match=f"process {owner.pid} on .* is already training"),
            exclusive_lock(lock),
        ):
            pass
    finally:
        owner.kill()
        owner.communicate()
    with exclusive_lock(lock):
        pass


def test_metrics_leave_unmeasured_values_empty(tmp_path):
    path = tmp_path / "metrics.csv"
    rows = [
        {"epoch": 0, "step": 4, "lr": 1e-6, "train_loss": 1.23456789, "eval_split": "test"},
        {"epoch": 1, "step": 8, "lr": 5e-4, "eval_clean_top1": 1.0, "eval_split": "test"},
    ]
    write_metrics(path, rows, selected=1)
    with open(path, newline="", encoding="utf-8") as handle:
        read = list(csv.DictReader(handle))
    assert tuple(read[0]) == COLUMNS
    assert read[0]["eval_clean_top1"] == ""
    assert read[0]["train_loss"] == "1.23457"
    assert read[1]["eval_clean_top1"] == "1.0"
    assert [row["selected"] for row in read] == ["0", "1"]
