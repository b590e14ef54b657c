"""train_model.py and import_checkpoint.py as the workflow calls them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "training"))

from training_samples import MODEL, train_spec, write_colours  # noqa: E402

from robustvit.models.factory import build_model  # noqa: E402
from robustvit.models.weights import load_weights, read_metadata  # noqa: E402
from robustvit.training.usage import loading_lines  # noqa: E402

RESNET = {
    "name": "resnet18",
    "family": "pyautoattack_resnet",
    "args": {"depth": 18},
    "num_classes": 10,
    "image_size": 32,
    "patch_size": None,
    "drop_path": 0.0,
    "normalization": None,
}
LONG = train_spec(epochs=12, evaluate_every=4)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "colours")


def train_command(spec: dict, manifest: Path, folder: Path, *more: str) -> list[str]:
    results = {
        "--weights": folder / "weights.safetensors",
        "--metrics": folder / "metrics.csv",
        "--config": folder / "config.yaml",
        "--card": folder / "model_card.md",
        "--steps": folder / "steps.csv",
        "--epochs": folder / "epochs.safetensors",
        "--work-dir": folder / "work",
        "--dataset": manifest,
        "--eval-dataset": manifest,
    }
    flags = [str(part) for item in results.items() for part in item]
    script = str(ROOT / "scripts" / "train_model.py")
    options = ["--threads", "1", "--device", "cpu", "--save-every", "0", *more]
    return [sys.executable, script, "--spec", json.dumps(spec), *flags, *options]


def run(command: list[str], folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


def start(command: list[str], folder: Path) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


def wait_for_state(folder: Path, seconds: float = 60) -> None:
    """Wait until the process that was just started has saved a state."""
    seen = set((folder / "work").glob("*/state-*.pt"))
    end = time.monotonic() + seconds
    while not set((folder / "work").glob("*/state-*.pt")) - seen:
        assert time.monotonic() < end, "no state was saved"
        time.sleep(0.002)


def test_training_leaves_its_five_files_and_no_state(colours, tmp_path):
    spec = train_spec(selection="test")
    shown = json.dumps({"every_steps": 3, "tensorboard": True, "folder": str(tmp_path)})
    run(train_command(spec, colours, tmp_path, "--monitoring", shown), tmp_path)
    steps = list(csv.DictReader((tmp_path / "steps.csv").open(encoding="utf-8")))
    assert [row["step"] for row in steps] == ["3", "6"]
    assert list((tmp_path / "tensorboard" / spec["experiment"]).iterdir())
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open(encoding="utf-8")))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert sum(int(row["selected"]) for row in rows) == 1
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert config["recipe"]["optimizer"]["lr"] == 1e-3
    assert config["trained"]["steps"] == 8
    assert config["inputs"]["init"] is None
    card = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert "ε = 4/255" in card
    assert "stand-in" in card
    assert "on the test set itself" in card
    assert f"```python\n{loading_lines(MODEL)}\n```" in card
    assert f"SHA-256 {config['inputs']['train']}" in card
    metadata = read_metadata(tmp_path / "weights.safetensors")
    assert json.loads(metadata["model"]) == MODEL
    assert json.loads(metadata["classes"]) == ["red", "green", "blue", "grey"]
    load_weights(build_model(MODEL), tmp_path / "weights.safetensors")
    assert [path.name for path in (tmp_path / "work").glob("*/*")] == ["lock"]


@pytest.mark.slow
def test_sigterm_exits_with_the_requeue_code_and_finetuning_resumes(colours, tmp_path):
    run(train_command(train_spec(epochs=1), colours, tmp_path), tmp_path)
    init = tmp_path / "init.safetensors"
    (tmp_path / "weights.safetensors").rename(init)
    spec = LONG | {"init": {"kind": "experiment", "name": "x", "model": MODEL}}
    command = train_command(spec, colours, tmp_path, "--init-weights", str(init))
    process = start(command, tmp_path)
    wait_for_state(tmp_path)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "the state is saved" in errors
    run(command, tmp_path)
    assert (tmp_path / "weights.safetensors").exists()


def test_mistakes_are_one_line_and_leave_nothing(colours, tmp_path):
    spec = train_spec(batch_size=1000)
    done = run(train_command(spec, colours, tmp_path), tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: recipe.batch_size 1000")
    assert not (tmp_path / "weights.safetensors").exists()


def test_the_packaged_resnet_is_imported(tmp_path):
    script = str(ROOT / "scripts" / "import_checkpoint.py")
    output = tmp_path / "weights.safetensors"
    spec = {
        "checkpoint": "cifar10_resnet18",
        "url": "package:pyautoattack/examples/model_test.pt",
        "sha256": "399f52da9f914c323fa5a6096d60f460a3449a59b64a6405200c1e629f8425a7",
        "model": RESNET,
        "mirrors": [],
    }
    command = [sys.executable, script, "--spec", json.dumps(spec), "--output", str(output)]
    run(command, tmp_path)
    load_weights(build_model(RESNET), output)
    output.unlink()
    wrong = json.dumps({**spec, "sha256": "0" * 64})
    done = run([*command[:3], wrong, *command[4:]], tmp_path, check=False)
    assert done.returncode == 2
    assert "SHA-256" in done.stderr
    assert os.listdir(tmp_path) == []
