"""The resumable state on the disk, the lock, and the metrics file."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest
import torch

from robustvit.core.errors import UserError
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
    assert "state-000000000002.pt is damaged" in capsys.readouterr().err
    assert len(states.generations()) == 1


def test_a_failed_write_keeps_the_old_states(tmp_path, monkeypatch):
    states = StateFolder(tmp_path)
    states.save(1, {"step": 1})

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        states.save(2, {"step": 2})
    assert states.load()["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


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
