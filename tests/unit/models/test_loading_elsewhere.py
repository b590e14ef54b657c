"""Weights load without this project: the very lines of the model card, run in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model_zoo import xcit

from robustvit.models.factory import build_model
from robustvit.models.weights import save_weights
from robustvit.training.usage import loading_lines, robustbench_lines

CIFAR10 = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2471, 0.2435, 0.2616]}
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
TINY = {"embed_dim": 32, "depth": 1, "num_heads": 2}


def model_spec(family: str, args: dict, classes: int = 10, size: int = 32, **values) -> dict:
    spec = {"name": "x", "family": family, "args": args, "num_classes": classes}
    return {**spec, "image_size": size, "patch_size": None, "normalization": None, **values}


S12 = model_spec("xcit", xcit(384, 8), patch_size=4, normalization=CIFAR10)
SPECS = {
    "nano": model_spec("xcit", xcit(128, 4, tokens_norm=False), 100, 64, normalization=HALF),
    "own_xcit": model_spec("xcit", {"patch_size": 8, **TINY}, 4),
    "adapted": model_spec("xcit", {"patch_size": 16, **TINY}, patch_size=4, normalization=HALF),
    "s12_p4_32": S12,
    "deit": model_spec("timm", {"model": "deit_tiny_patch16_224", "depth": 1}, size=64),
    "timm_act": model_spec("timm", {"model": "resnet10t", "act": "gelu"}, size=64),
    "timm_xcit": model_spec("timm", {"model": "xcit_nano_12_p16_224", "depth": 1}, patch_size=8),
    "resnet": model_spec("resnet", {"layers": [1, 1, 1, 1], "act": "gelu", "stem": "cifar"}),
}
# A path of its own for each: the lines name the file "weights.safetensors".
RUNNER = """
import json, os, sys, torch
torch.set_num_threads(1)
torch.manual_seed(0)
for folder, lines in json.load(open("lines.json")).items():
    os.chdir(folder)
    names = {"images": torch.load("images.pt", weights_only=True)}
    with torch.no_grad():
        exec(lines, names)
    assert not names["model"].training
    torch.save(names["logits"], "logits.pt")
    os.chdir("..")
assert not [name for name in sys.modules if name.startswith("robustvit")]
"""


def write_case(folder: Path, spec: dict) -> torch.Tensor:
    """Random weights with BatchNorm statistics of their own; returns our logits."""
    folder.mkdir()
    model = build_model(spec, seed=1)
    images = torch.rand(2, 3, spec["image_size"], spec["image_size"])
    model.train()(images)
    save_weights(folder / "weights.safetensors", model, {"format": "pt"})
    torch.save(images, folder / "images.pt")
    with torch.no_grad():
        return model.eval()(images)


def run_elsewhere(folder: Path, lines: dict[str, str], prelude: str = "") -> None:
    (folder / "lines.json").write_text(json.dumps(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", prelude + RUNNER], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_timm_loads_the_weights(tmp_path):
    ours = {name: write_case(tmp_path / name, spec) for name, spec in SPECS.items()}
    lines = {name: loading_lines(spec) for name, spec in SPECS.items()}
    assert 'timm.create_model(\n    "xcit_nano_12_p16_224", num_classes=100' in lines["nano"]
    run_elsewhere(tmp_path, lines)
    for name, logits in ours.items():
        theirs = torch.load(tmp_path / name / "logits.pt", weights_only=True)
        torch.testing.assert_close(theirs, logits, rtol=1e-5, atol=1e-6, msg=name)


# RobustBench imports `autoattack`, which the index has as `pyautoattack` only.
ALIAS = """
import sys, warnings
warnings.simplefilter("ignore")
import pyautoattack, pyautoattack.state
sys.modules.update({"autoattack": pyautoattack, "autoattack.state": pyautoattack.state})
"""
# RobustBench's own loader takes this model from timm, and timm a released file from torch's cache.
LOAD_MODEL = """
import os, robustbench, torch
from safetensors.torch import load_file

torch.hub.set_dir("hub")
os.makedirs("hub/checkpoints")
released = "hub/checkpoints/debenedetti2022light-xcit-s-cifar10-linf.pth.tar"
torch.save({"model": load_file("weights.safetensors")}, released)
model = robustbench.load_model(
    "Debenedetti2022Light_XCiT-S12", dataset="cifar10", threat_model="Linf"
)
logits = model(images)
"""


@pytest.mark.slow
def test_robustbench_loads_the_weights(tmp_path):
    plain = {**S12, "normalization": None}
    ours = {name: write_case(tmp_path / name, S12) for name in ("normalised", "load_model")}
    ours["plain"] = write_case(tmp_path / "plain", plain)
    lines = {
        "normalised": robustbench_lines(S12),
        "plain": robustbench_lines(plain),
        "load_model": LOAD_MODEL,
    }
    run_elsewhere(tmp_path, lines, ALIAS)
    for name, logits in ours.items():
        theirs = torch.load(tmp_path / name / "logits.pt", weights_only=True)
        torch.testing.assert_close(theirs, logits, rtol=1e-5, atol=1e-6, msg=name)


def test_the_page_shows_these_lines():
    page = Path(__file__).resolve().parents[3] / "docs" / "training.md"
    plain = {**SPECS["nano"], "normalization": None}
    for lines in (loading_lines(plain), robustbench_lines(S12), LOAD_MODEL.strip()):
        assert f"```python\n{lines}\n```" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "xcit_s12_cifar10"),
        ({"num_classes": 100, "normalization": None}, "xcit_s12_cifar100"),
        ({"num_classes": 1000, "image_size": 224, "patch_size": None, "normalization": None,
          "args": xcit(768, 16)}, "xcit_l12_imagenet"),
        ({"normalization": HALF}, None),
        ({"patch_size": 8}, None),
        ({"args": xcit(384, 4)}, None),
        ({"num_classes": 4}, None),
        ({"family": "timm", "args": {"model": "resnet18"}}, None),
    ],
)  # fmt: skip
def test_robustbench_is_named_for_its_own_models_only(change, name):
    lines = robustbench_lines({**S12, **change})
    assert lines is None if name is None else f"debenedetti2022light_{name}_linf" in lines


def test_a_family_of_this_project_alone_has_no_lines():
    assert loading_lines(model_spec("pyautoattack_resnet", {"depth": 18})) is None
