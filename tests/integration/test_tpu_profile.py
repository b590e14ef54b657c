"""`snakemake --profile tpu` with XLA's CPU backend in a TPU's place: the CPU's weights."""

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.integration.conftest import SMOKE
from tests.workflow.conftest import environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("smoke")]

# Without LLVM's optimisation XLA compiles in half the time; four virtual devices stand for cores.
XLA = {
    "PJRT_DEVICE": "CPU",
    "CPU_NUM_DEVICES": "4",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
}
# One from scratch with PGD, and one that goes on from its weights with TRADES.
TRAINED = ("demo_eps8", "demo_cifar10")
TOLERANCE = 1e-4  # of a weight; 2e-5 at most in the eight trainings of the smoke configuration


@pytest.fixture(scope="module")
def trained(smoke, tmp_path_factory):
    """A copy of the finished smoke run whose two trainings were done anew by `--profile tpu`."""
    if importlib.util.find_spec("torch_xla") is None:
        pytest.skip("torch_xla is not installed (make env LOCK=tpu; no package for some platforms)")
    folder = tmp_path_factory.mktemp("tpu") / "checkout"
    shutil.copytree(smoke.folder, folder, symlinks=True)
    for name in TRAINED:
        shutil.rmtree(folder / "results/smoke/train" / name)
    targets = [f"results/smoke/train/{name}/weights.safetensors" for name in TRAINED]
    command = [sys.executable, "-m", "snakemake", "--profile", "tpu", *SMOKE[:3]]
    done = subprocess.run(
        [*command, "configs/tpu.yaml", "--", *targets],
        cwd=folder,
        env=environment() | XLA,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder / "results/smoke"


@pytest.mark.parametrize("name", TRAINED)
def test_trainings_on_xla_give_the_weights_of_the_cpu(trained, smoke, name):
    from safetensors.torch import load_file

    ours, theirs = (
        load_file(results / "train" / name / "weights.safetensors")
        for results in (trained, smoke.results)
    )
    assert ours.keys() == theirs.keys()
    apart = max((ours[key].float() - theirs[key].float()).abs().max().item() for key in ours)
    print(f"{name}: greatest difference of a weight {apart:.1e}")
    assert 0 < apart < TOLERANCE  # not the CPU's own weights
    rows, expected = (
        list(csv.DictReader((results / "train" / name / "metrics.csv").open()))
        for results in (trained, smoke.results)
    )
    for row, other in zip(rows, expected, strict=True):
        assert float(row["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-3)


def test_trainings_ran_on_all_cores(trained):
    for name in TRAINED:
        config = trained / "train" / name / "config.yaml"
        described = yaml.safe_load(config.read_text(encoding="utf-8"))
        assert "4 cores, XLA" in described["provenance"]["device"]


def test_profile_plans_trainings_in_turn_and_evaluations_on_the_host(smoke):
    command = [sys.executable, "-m", "snakemake", "--profile", "tpu", *SMOKE[:3]]
    done = subprocess.run(
        [*command, "configs/tpu.yaml", "--forceall", "-n", "-p", "--", "evaluate"],
        cwd=smoke.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    blocks = re.findall(r"rule (pretrain|finetune|evaluate)_model:\n((?:\s+.*\n)+)", text)
    resources = {(name, re.search(r"resources: (.*)", block)[1]) for name, block in blocks}
    assert {name for name, _ in resources} == {"pretrain", "finetune", "evaluate"}
    for name, listed in resources:
        # Nothing waits for a GPU that a TPU VM does not have.
        assert "gpu=0" in listed
        assert ("tpu=1" in listed) == (name != "evaluate")


def test_without_a_tpu_xla_says_so(trained, smoke):
    """torch_xla itself would go on with the CPU, in silence and for months."""
    spec = "import sys; from robustvit.training.opening import open_training_device as o; o('xla')"
    values = {key: value for key, value in environment().items() if key not in XLA}
    done = subprocess.run(
        [sys.executable, "-c", spec],
        env=values | {"PYTHONPATH": os.path.join(smoke.folder, "scripts")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "this machine has no TPU" in done.stderr
