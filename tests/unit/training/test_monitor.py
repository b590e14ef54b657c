"""Numbers while a training runs: rows, curves, and what happens to them when it is killed."""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_samples import train_spec

from robustvit.core.errors import UserError
from robustvit.training.engine import Trainer
from robustvit.training.metrics import note
from robustvit.training.monitor import Monitor, open_monitor, parse_monitoring
from robustvit.training.monitoring.steps_file import COLUMNS, copy_steps, read_steps
from robustvit.training.state import StateFolder

TIMED = ("images_per_second", "seconds_left", "memory_mb")
SPEC = {"experiment": "light"}


def open_in(folder: Path, **settings: object) -> Monitor:
    (folder / "state").mkdir(exist_ok=True)
    given = {"every_steps": 2, "folder": str(folder), **settings}
    return open_monitor(given, SPEC, folder / "state", total_steps=20)


def row(step: int) -> dict:
    return {
        "epoch": (step - 1) // 10, "step": step, "lr": 1e-3, "epsilon_255": 4.0,
        "train_loss": float(step), "train_clean_top1": None, "train_robust_top1": 0.5,
        "images_per_second": 100.0, "memory_mb": 500.0,
    }  # fmt: skip


def play(monitor: Monitor, start: int, stop: int, done: list[int] = (), evaluates=True) -> None:
    """What the engine does from step `start` to step `stop`; epochs of 10 steps."""
    with monitor:
        monitor.start(start, [{"step": step} for step in done])
        for step in range(start, stop + 1):
            if step > start and monitor.due(step):
                monitor.step(step, row(step))
            if step and step % 10 == 0 and step not in done and evaluates:
                monitor.epoch({"step": step, "eval_robust_top1": step / 20, "seconds": 1.0})


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder / "tensorboard" / "light"))
    read.Reload()
    tags = read.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in tags}


def steps_of(folder: Path) -> list[int]:
    return [int(entry["step"]) for entry in read_steps(folder / "state" / "steps.csv")]


# (state that the process starts from, where it is killed, epochs in that state); an evaluation at
# step 10 is shown and lost again when the state was saved before it.
KILLS = {
    "inside an epoch": [(0, 5, []), (3, 9, []), (8, 20, [])],
    "anew": [(0, 15, []), (0, 20, [])],
    "after an evaluation": [(0, 13, []), (10, 20, [10])],
    "around an evaluation": [(0, 10, []), (10, 11, []), (10, 20, [10])],
    "at the end": [(0, 20, []), (20, 20, [10]), (20, 20, [10, 20])],
}


@pytest.mark.parametrize("name", KILLS)
def test_after_kills_every_point_is_there_once(tmp_path, name):
    for start, stop, done in KILLS[name]:
        play(open_in(tmp_path, tensorboard=True), start, stop, done)
    assert steps_of(tmp_path) == list(range(2, 21, 2))
    found = curves(tmp_path)
    assert found["train/loss"] == [(step, float(step)) for step in range(2, 21, 2)]
    assert found["eval/robust_top1"] == [(10, 0.5), (20, 1.0)]
    assert [step for step, _ in found["schedule/epsilon_255"]] == list(range(2, 21, 2))
    assert "train/clean_top1" not in found


def test_half_a_line_is_dropped_and_its_step_comes_again(tmp_path):
    play(open_in(tmp_path), 0, 7)
    path = tmp_path / "state" / "steps.csv"
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    play(open_in(tmp_path), 5, 8)
    assert steps_of(tmp_path) == [2, 4, 6, 8]
    copy_steps(path, tmp_path / "steps.csv")
    with open(tmp_path / "steps.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["train_clean_top1"] == ""
    assert rows[0]["lr"] == "0.001"
    assert float(rows[-1]["seconds_left"]) > 0


def test_only_the_main_process_writes(tmp_path):
    settings = {"every_steps": 2, "tensorboard": True, "folder": str(tmp_path)}
    other = open_monitor(settings, SPEC, tmp_path, total_steps=20, is_main=False)
    play(other, 0, 20)
    assert list(tmp_path.iterdir()) == []
    assert [other.due(step) for step in (1, 2)] == [False, True]


def test_a_resumed_training_has_the_rows_of_one_that_was_not(make_plan, tmp_path, monkeypatch):
    def rows(name: str, stops: list[int]) -> list[dict]:
        folder = tmp_path / name
        for stop in [*stops, None]:
            trainer = Trainer(make_plan(train_spec()), StateFolder(folder), save_every=0)
            trainer.monitor = open_monitor({"every_steps": 1}, train_spec(), folder, 8)
            with trainer.monitor as monitor:
                monitor.start(trainer.run.step, trainer.run.rows)
                if stop:
                    # A kill at its worst: the row is on the disk, the state is not.
                    monkeypatch.setattr(monitor, "flush", kill_at(stop, trainer))
                    with pytest.raises(KeyboardInterrupt):
                        trainer.train()
                else:
                    trainer.train()
        found = read_steps(folder / "steps.csv")
        return [{k: v for k, v in entry.items() if k not in TIMED} for entry in found]

    def kill_at(step: int, trainer: Trainer):
        def flush() -> None:
            if trainer.run.step == step:
                raise KeyboardInterrupt

        return flush

    whole = rows("whole", [])
    assert [entry["step"] for entry in whole] == [str(step) for step in range(1, 9)]
    assert whole[0]["train_robust_top1"] != ""
    assert rows("killed", [2, 4, 7]) == whole


def test_curves_are_never_worth_a_failed_training(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("in the way")
    play(open_in(tmp_path, tensorboard=True), 0, 20)
    assert capsys.readouterr().err.count("no more TensorBoard curves") == 1
    assert len(steps_of(tmp_path)) == 10


def test_tensorboard_comes_without_tensorflow_and_torch(tmp_path):
    # TensorFlow, where it is installed, must not be loaded beside torch_xla.
    scripts = next(path for path in sys.path if path.endswith("scripts"))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['tensorflow'] = None\n"
        "import builtins; real = builtins.__import__\n"
        "def watched(name, *rest):\n"
        "    assert name.split('.')[0] not in ('tensorflow', 'torch'), name\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = watched\n"
        "from robustvit.training.monitor import open_monitor\n"
        "from pathlib import Path\n"
        "settings = {'every_steps': 1, 'tensorboard': True, 'folder': sys.argv[2]}\n"
        "with open_monitor(settings, {'experiment': 'x'}, Path(sys.argv[2]), 2) as monitor:\n"
        "    monitor.start(0, []); monitor.step(1, {'train_loss': 1.0})\n"
    )
    command = [sys.executable, "-c", program, scripts, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "tensorboard" / "x").iterdir())


class FakeWandb(types.ModuleType):
    """The part of W&B's interface that is used."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs, self.logged = [], {}

    def init(self, **settings: object) -> FakeWandb:
        self.runs.append(settings)
        return self

    def log(self, values: dict, step: int) -> None:
        self.logged.setdefault(step, {}).update(values)

    def finish(self) -> None:
        self.runs[-1]["finished"] = True


def test_wandb_goes_on_with_the_same_run(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for start, stop in [(0, 7), (5, 20), (0, 4)]:
        play(open_in(tmp_path, wandb={"project": "p", "entity": "us"}), start, stop)
    first, second, anew = fake.runs
    assert first["id"] == second["id"] != anew["id"]
    assert first["resume"] == "allow"
    assert (first["project"], first["entity"], first["name"]) == ("p", "us", "light")
    assert first["config"] == SPEC
    assert all(run["finished"] for run in fake.runs)
    assert sorted(fake.logged) == list(range(2, 21, 2))
    assert fake.logged[10]["eval/robust_top1"] == 0.5


def test_wandb_that_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"monitoring\.wandb.*install wandb.*WANDB_MODE=offline"):
        open_in(tmp_path, wandb={"project": "p"})


def test_a_note_says_all_in_a_line():
    values = row(3) | {"train_clean_top1": 0.451, "images_per_second": 312.4, "memory_mb": 1234.0}
    expected = "loss 3.000, clean 45.1%, robust 50.0%, ε 4/255, lr 1.0e-03, 312 images/s, 1.2 GB"
    assert note(values) == expected
    standard = values | {"epsilon_255": 0.0, "train_robust_top1": None, "images_per_second": 1.26}
    assert note(standard) == "loss 3.000, clean 45.1%, lr 1.0e-03, 1.3 images/s, 1.2 GB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected an object"),
        ('{"tensorbord": true}', "tensorbord"),
    ],
)
def test_wrong_settings_are_told(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse_monitoring(text)
    assert parse_monitoring("") == {}
    with pytest.raises(UserError, match='needs a "folder"'):
        parse_monitoring('{"tensorboard": true}')
