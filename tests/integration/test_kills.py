"""A training that is killed at ten random moments ends with the bytes of one that was not.

`pytest -s tests/integration/test_kills.py` shows where each kill hit.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "training"))

from training_samples import train_spec, write_colours  # noqa: E402

from robustvit.core.files import sha256  # noqa: E402

pytestmark = pytest.mark.slow
SEED = 20220618
SPEC = train_spec(
    epochs=3,
    ema_decay=0.9,
    selection="test",
    clip_grad_norm=1.0,
    augmentation={"mixup": 0.8, "cutmix": 1.0, "randaugment": "rand-m9-mstd0.5-inc1"},
)
EPOCHS, STEPS = 3, 4  # of 64 images in batches of 16
RESULTS = {
    "--weights": "weights.safetensors",
    "--metrics": "metrics.csv",
    "--steps": "steps.csv",
    "--config": "config.yaml",
    "--card": "model_card.md",
    "--epochs": "epochs.safetensors",
}
TIMED = ("images_per_second", "seconds", "seconds_left", "memory_mb")
# Where the kills shall hit: the function of the training that runs, how often it is entered
# before at most, and for how many seconds at most it has run. "imports" is the start of Python.
PHASES = {
    "imports": (None, 0, 1.5),
    "building": ("run.py:start_run", 0, 0.01),
    "reading the state": ("state.py:load", 0, 0.002),
    "a step": ("step.py:train_step", 2, 0.02),
    "a step, data workers": ("step.py:train_step", 1, 0.02),
    "writing a state": ("state.py:save", 2, 0.004),
    "an evaluation": ("robust.py:evaluate", 0, 0.02),
    "writing the results": ("outputs.py:write_outputs", 0, 0.03),
}
ORDER = (
    "imports",
    "a step",
    "writing a state",
    "building",
    "an evaluation",
    "reading the state",
    "a step, data workers",
    "writing a state",
    "a step",
    "writing the results",
)
# Python runs a module of this name at its start. A thread looks where the main thread is and ends
# the whole process with SIGKILL once it is where it shall be hit; nothing else is changed.
WATCHER = """
import json, os, random, signal, sys, threading, time

def stack(frame):  # None between two calls of Python code
    while frame is not None:
        code = frame.f_code
        path, name = code.co_filename, code.co_name
        yield f"{os.path.basename(path)}:{name}", path, frame.f_lineno
        frame = frame.f_back

def runs(function):
    calls = stack(sys._current_frames().get(threading.main_thread().ident))
    return function is None or any(name == function for name, _, _ in calls)

def wait(function, running):
    while runs(function) != running:
        time.sleep(0.0002)

def watch(function, entries, delay, log):
    for _ in range(entries):
        wait(function, True)
        wait(function, False)
    wait(function, True)
    time.sleep(delay)
    wait(function, True)  # the next time, if it was over before
    calls = list(stack(sys._current_frames().get(threading.main_thread().ident)))
    ours = [f"{name}:{line}" for name, path, line in calls if "/robustvit/" in path]
    with open(log, "w") as handle:
        handle.write(" < ".join(ours[:3]) or "imports, before any code of the project")
    os.kill(os.getpid(), signal.SIGKILL)

if "KILL" in os.environ and any(part.endswith("train_model.py") for part in sys.orig_argv):
    sys.setswitchinterval(0.0001)
    threading.Thread(target=watch, args=json.loads(os.environ["KILL"]), daemon=True).start()
"""


class Training:
    """One training in a folder of its own, started as often as it takes."""

    def __init__(self, folder: Path, scripts: Path, manifest: Path) -> None:
        self.folder, self.scripts, self.manifest = folder, scripts, manifest
        folder.mkdir()
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(WATCHER, encoding="utf-8")

    def start(self, kill: tuple | None = None, workers: int = 0) -> subprocess.CompletedProcess:
        environment = os.environ | {"PYTHONPATH": str(self.folder / "site")}
        if kill is not None:
            environment["KILL"] = json.dumps([*kill, str(self.folder / "hit")])
        # It also waits for data workers, which hold the pipes until they have ended too.
        return subprocess.run(
            [sys.executable, *self._command(), "--workers", str(workers)],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    def _command(self) -> list[str]:
        results = [part for pair in RESULTS.items() for part in pair]
        monitoring = json.dumps({"every_steps": 1, "tensorboard": True, "folder": "."})
        sets = ["--dataset", str(self.manifest), "--eval-dataset", str(self.manifest)]
        options = ["--threads", "1", "--device", "cpu", "--save-every", "0", "--work-dir", "work"]
        script = [str(self.scripts / "train_model.py"), "--spec", json.dumps(SPEC)]
        return [*script, *sets, *results, *options, "--monitoring", monitoring]

    def newest_state(self) -> str:
        states = sorted(self.folder.glob("work/*/state-*.pt"))
        return f"step {int(states[-1].stem.split('-')[1])}" if states else "none"

    def rows(self, name: str) -> list[dict]:
        """Rows of a CSV file without what a clock or the machine decides."""
        with open(self.folder / name, newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        return [{k: v for k, v in row.items() if k not in TIMED} for row in rows]

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        read = EventAccumulator(str(self.folder / "tensorboard" / SPEC["experiment"]))
        read.Reload()
        tags = [tag for tag in read.Tags()["scalars"] if not tag.startswith("speed/")]
        return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in tags}


def kill_ten_times(training: Training) -> list[str]:
    """Start the training ten times and kill it each time; say where each kill hit."""
    chance, lines = random.Random(SEED), []
    for number, name in enumerate(ORDER, start=1):
        function, most, longest = PHASES[name]
        kill = (function, chance.randint(0, most), chance.uniform(0, longest))
        done = training.start(kill, workers=2 if "workers" in name else 0)
        assert done.returncode == -signal.SIGKILL, (name, done.stderr)
        hit = (training.folder / "hit").read_text(encoding="utf-8")
        state = training.newest_state()
        lines.append(f"kill {number:2}: {name:20} | {hit} | newest state: {state}")
    return lines


def assert_same_curves(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for tag, points in one.items():
        assert [step for step, _ in other[tag]] == [step for step, _ in points], tag
        # A point that is shown again was read from the steps file: six digits.
        assert [y for _, y in other[tag]] == pytest.approx([y for _, y in points], rel=1e-5), tag


def test_ten_kills_change_nothing(tmp_path):
    scripts = tmp_path / "scripts"  # a state belongs to its code, which may be edited meanwhile
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = write_colours(tmp_path / "colours")
    whole, killed = (Training(tmp_path / name, scripts, manifest) for name in ("whole", "killed"))
    assert whole.start().returncode == 0
    print("", *kill_ten_times(killed), sep="\n")
    done = killed.start()
    assert done.returncode == 0, done.stderr
    hashes = [sha256(training.folder / "weights.safetensors") for training in (whole, killed)]
    print(f"weights of the run without kills:  {hashes[0]}")
    print(f"weights of the run with ten kills: {hashes[1]}")
    assert hashes[0] == hashes[1]
    assert whole.rows("metrics.csv") == killed.rows("metrics.csv")
    assert len(whole.rows("metrics.csv")) == EPOCHS
    assert whole.rows("steps.csv") == killed.rows("steps.csv")
    assert len(whole.rows("steps.csv")) == EPOCHS * STEPS
    assert_same_curves(whole.curves(), killed.curves())
    left = {path.name for path in killed.folder.iterdir()} - {"hit", "site"}
    assert left == {path.name for path in whole.folder.iterdir()} - {"site"}
    assert [path.name for path in killed.folder.glob("work/*/*")] == ["lock"]
