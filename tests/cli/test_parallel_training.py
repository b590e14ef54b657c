"""Training in several processes: the single process' result, whatever their number."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from test_training_clis import run, start, train_command, wait_for_state
from training_samples import train_spec, write_colours

LIGHT = train_spec(
    augmentation={"mixup": 0.8, "cutmix": 1.0},
    ema_decay=0.9,
    clip_grad_norm=1.0,
    optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9},
)
TRADES = train_spec(
    loss={"name": "trades"},
    attack={"steps": 2},
    accumulation=2,
    selection="test",
    optimizer={"name": "sgd", "lr": 0.02, "momentum": 0.9},
)
TRAIN_MODE = train_spec(attack={"mode": "train"}, optimizer={"name": "sgd", "lr": 0.05})
# From weights that know something: gradients of a fresh model are near zero, and where one is zero
# but for rounding its sign, and so the attack, is a matter of luck.
BASE = train_spec(loss={"name": "clean"}, epochs=8, evaluate_every=8, optimizer={"lr": 1e-2}) | {
    "threat": None
}
# Sums are taken in another order; SGD keeps the difference as small as it is, while AdamW divides
# a gradient that is near zero by its own size.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def base(colours, tmp_path_factory) -> Path:
    """Weights that the trainings start from."""
    folder = tmp_path_factory.mktemp("base")
    run(train_command(BASE, colours, folder), folder)
    return folder / "weights.safetensors"


@pytest.fixture
def command(colours, base) -> Callable[..., list[str]]:
    """Build a command that trains a spec from `base`."""

    def build(spec: dict, folder: Path, *more: str) -> list[str]:
        init = {"kind": "experiment", "name": "base", "model": spec["model"]}
        return train_command(
            {**spec, "init": init}, colours, folder, "--init-weights", str(base), *more
        )

    return build


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def difference(one: dict, other: dict) -> float:
    """Greatest difference between two sets of weights."""
    assert one.keys() == other.keys()
    return max((one[name].float() - other[name].float()).abs().max().item() for name in one)


def assert_same_result(one: Path, other: Path) -> None:
    """Both trainings ended with the same weights and metrics but for rounding."""
    apart = difference(weights(one), weights(other))
    print(f"greatest difference of a weight: {apart:.1e}")
    assert apart < TOLERANCE
    for ours, theirs in zip(rows(one), rows(other), strict=True):
        assert float(ours["train_loss"]) == pytest.approx(float(theirs["train_loss"]), abs=1e-4)
        for share in ("train_robust_top1", "eval_clean_top1", "eval_robust_top1"):
            assert ours[share] == theirs[share]


def rows(folder: Path) -> list[dict]:
    return list(csv.DictReader((folder / "metrics.csv").open(encoding="utf-8")))


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of the tiny data set."""
    return write_colours(tmp_path_factory.mktemp("colours") / "colours")


@pytest.mark.parametrize("spec", [LIGHT, TRADES, TRAIN_MODE], ids=["light", "trades", "train"])
def test_two_processes_give_the_result_of_one(spec, command, tmp_path, monkeypatch):
    alone, together, scratch = (tmp_path / name for name in ("alone", "together", "scratch"))
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    run(command(spec, alone), tmp_path)
    run(command(spec, together, "--processes", "2"), tmp_path)
    assert_same_result(alone, together)
    assert not list(scratch.glob("torchelastic_*"))


def test_processes_may_share_the_parts_of_a_batch_and_change_in_number(command, tmp_path):
    """Four processes share two parts; stopped by a signal, one process ends what they began."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    run(command(TRADES, alone), tmp_path)
    started = start(command(TRADES, shared, "--processes", "4"), tmp_path)
    wait_for_state(shared, seconds=200)
    started.send_signal(signal.SIGUSR1)
    _, errors = started.communicate(timeout=120)
    assert started.returncode == 75, errors
    assert not (shared / "weights.safetensors").exists()
    run(command(TRADES, shared), tmp_path)
    assert_same_result(alone, shared)


def test_two_machines_meet_and_give_the_result_of_one(command, tmp_path):
    alone, apart = tmp_path / "alone", tmp_path / "apart"
    run(command(LIGHT, alone), tmp_path)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meet = f"localhost:{free.getsockname()[1]}"
    both = command(LIGHT, apart, "--nodes", "2", "--rendezvous", meet)
    machines = [start(both, tmp_path) for _ in range(2)]
    for machine in machines:
        _, errors = machine.communicate(timeout=200)
        assert machine.returncode == 0, errors
    assert_same_result(alone, apart)


def test_an_error_in_a_process_is_told_and_its_exit_code_kept(colours, tmp_path):
    spec = train_spec(batch_size=18)
    done = run(train_command(spec, colours, tmp_path, "--processes", "4"), tmp_path, check=False)
    assert done.returncode == 2
    assert "cannot be cut into 4 equal slices" in done.stderr
    assert "Traceback" not in done.stderr


# Without LLVM's optimisation XLA compiles in half the time.
XLA = {
    "PJRT_DEVICE": "CPU",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
}


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("spec", [LIGHT, TRADES], ids=["light", "trades"])
def test_xla_gives_the_result_of_the_cpu(spec, cores, command, tmp_path):
    if importlib.util.find_spec("torch_xla") is None:
        pytest.skip("torch_xla is not installed (it has no package for this platform)")
    alone, xla = tmp_path / "alone", tmp_path / "xla"
    run(command(spec, alone), tmp_path)
    environment = {**os.environ, **XLA, "CPU_NUM_DEVICES": str(cores)}
    with_xla = command(spec, xla, "--device", "xla")
    done = subprocess.run(with_xla, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_result(alone, xla)
    described = yaml.safe_load((xla / "config.yaml").read_text(encoding="utf-8"))
    assert f"{cores} cores, XLA" in described["provenance"]["device"]


def test_xla_is_not_started_by_several_processes(colours, tmp_path):
    command = train_command(LIGHT, colours, tmp_path, "--processes", "2", "--device", "xla")
    done = run(command, tmp_path, check=False)
    assert done.returncode == 2
    assert "one process drives all cores" in done.stderr
