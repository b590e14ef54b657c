"""Weights on the disk: round trip, strictness, fine-tuning, foreign files."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from robustvit.core.errors import UserError
from robustvit.models.factory import build_model
from robustvit.models.importing import checkpoint_file
from robustvit.models.weights import (
    load_for_finetuning,
    load_weights,
    read_metadata,
    read_state,
    save_weights,
)

ARGS = {"patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}
METADATA = {"experiment": "x", "model": "y", "classes": '["á", "b"]', "threat": "null"}
SAVE = (
    "import sys, torch; sys.path.insert(0, sys.argv[2])\n"
    "from torch import nn\n"
    "from robustvit.models.weights import save_weights\n"
    "torch.manual_seed(0)\n"
    "save_weights(sys.argv[1], nn.Linear(3, 2), {k: 'v' for k in 'abcdefgh'})\n"
)


def xcit(seed: int = 0, **values: object) -> nn.Module:
    spec = {
        "name": "x",
        "family": "xcit",
        "args": ARGS,
        "num_classes": 4,
        "image_size": 32,
        "patch_size": None,
        "drop_path": 0.0,
        "normalization": None,
    }
    return build_model({**spec, **values}, seed=seed)


def test_weights_come_back_with_the_keys_of_the_inner_model(tmp_path):
    normalization = {"mean": [0.5] * 3, "std": [0.5] * 3}
    model, path = xcit(1, normalization=normalization), tmp_path / "weights.safetensors"
    save_weights(path, model, METADATA)
    assert read_metadata(path) == METADATA
    assert "head.weight" in read_state(path)
    other = xcit(2)
    load_weights(other, path)
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.model.state_dict()[name])
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.safetensors"]


def test_the_same_weights_give_the_same_bytes_in_every_process(tmp_path):
    scripts = next(path for path in sys.path if path.endswith("scripts"))
    for name in ("a", "b"):
        path = str(tmp_path / f"{name}.safetensors")
        subprocess.run([sys.executable, "-c", SAVE, path, scripts], check=True)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_differences_are_listed(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, xcit(num_classes=5), {})
    with pytest.raises(UserError, match=r"head.weight \(file \[5, 32\], model \[4, 32\]\)"):
        load_weights(xcit(), path)
    save_weights(path, nn.Linear(2, 2), {})
    with pytest.raises(UserError, match=r"missing: blocks\.0.* and \d+ more; unexpected: bias"):
        load_weights(xcit(), path)


def test_finetuning_replaces_the_head_and_keeps_the_rest(tmp_path):
    path = tmp_path / "weights.safetensors"
    source = xcit(1, num_classes=7)
    save_weights(path, source, {})
    model = xcit(2, patch_size=4, normalization={"mean": [0.5] * 3, "std": [0.5] * 3})
    fresh = model.model.head.weight.clone()
    assert load_for_finetuning(model, path) == ["head.bias", "head.weight"]
    assert torch.equal(model.model.head.weight, fresh)
    for name, value in source.state_dict().items():
        if not name.startswith("head"):
            assert torch.equal(value, model.model.state_dict()[name]), name
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 4)


def test_finetuning_keeps_a_head_that_fits(tmp_path):
    path = tmp_path / "weights.safetensors"
    source, model = xcit(1), xcit(2)
    save_weights(path, source, {})
    assert load_for_finetuning(model, path) == []
    assert torch.equal(model.head.weight, source.head.weight)


def test_finetuning_takes_nothing_else_that_differs(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, xcit(args={**ARGS, "depth": 2}), {})
    with pytest.raises(UserError, match=r"unexpected: blocks\.1"):
        load_for_finetuning(xcit(), path)


def test_learned_positions_are_interpolated(tmp_path):
    args = {"model": "deit_tiny_patch16_224", "depth": 1}
    path = tmp_path / "weights.safetensors"
    save_weights(path, xcit(family="timm", args=args, image_size=64), {})
    model = xcit(family="timm", args=args, image_size=96)
    assert load_for_finetuning(model, path) == []
    assert model.pos_embed.shape[1] == 36 + 1


def checkpoint(layout: str, model: nn.Module, averaged: nn.Module | None) -> dict:
    """What timm's trainer saves, or the one for TPUs that the released code builds on."""
    weights = {f"module.{name}": value for name, value in model.state_dict().items()}
    average = averaged.state_dict() if averaged else None
    optimizer = torch.optim.AdamW(model.parameters()).state_dict()
    arguments = argparse.Namespace(lr=1e-3, model="xcit", mean=(0.5,), data_dir=None)
    if layout == "timm":
        state = {"epoch": 3, "arch": "xcit", "state_dict": weights, "optimizer": optimizer}
        state |= {"version": 2, "args": arguments, "amp_scaler": {}, "metric": np.float64(41.8)}
        return state | ({"state_dict_ema": average} if averaged else {})
    counts = {"epoch": 109, "step_count": 9, "step_count_global": 99}
    settings = {"train_cfg": {"num_epochs": 110, "accumulate_steps": 0}, "args": arguments}
    metrics = {"metrics": OrderedDict(robust_top1=np.float32(41.8)), "version": 2, "arch": "xcit"}
    weights = OrderedDict(model.state_dict())
    return counts | settings | metrics | {
        "model": weights, "model_ema": average, "optimizer": optimizer,
    }  # fmt: skip


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("layout", ["timm", "tpu"])
def test_released_checkpoints_are_read_without_running_code(tmp_path, layout, averaged):
    path, model, average = tmp_path / "best.pth.tar", xcit(1), xcit(3)
    torch.save(checkpoint(layout, model, average if averaged else None), path)
    other = xcit(2)
    load_weights(other, path)
    expected = average if averaged else model
    for name, value in expected.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_scores_pickled_by_an_old_numpy_are_read(tmp_path):
    path, model = tmp_path / "best.pth.tar", xcit(1)
    torch.save(checkpoint("timm", model, None), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray"))
    load_weights(xcit(2), path)


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle ran')",)


def test_a_pickle_with_code_is_refused(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"model": {}, "extra": Payload()}, path)
    with pytest.raises(UserError, match="could run code"):
        read_state(path)
    torch.save(checkpoint("timm", xcit(), None) | {"args": Payload()}, path)
    with pytest.raises(UserError, match="could run code"):
        load_weights(xcit(), path)
    path.write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(UserError, match=r"could run code|not a readable"):
        read_state(path)


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pt"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x50\x4b\x03\x04 not a checkpoint")
    with pytest.raises(UserError, match="broken"):
        read_state(path)
    with pytest.raises(UserError, match="does not exist"):
        read_state(tmp_path / "absent.pt")


def test_files_without_weights_are_named(tmp_path):
    path = tmp_path / "numbers.pt"
    torch.save({"loss": 1.0}, path)
    with pytest.raises(UserError, match="no tensors: loss"):
        read_state(path)


def test_checkpoints_are_found_and_checked(tmp_path):
    with checkpoint_file("package:pyautoattack/examples/model_test.pt", None) as path:
        assert path.name == "model_test.pt"
    for url, message in [
        ("package:no_such_package/x.pt", "not installed"),
        ("package:pyautoattack/x.pt", "no file"),
        (f"file:{tmp_path}/x.pt", "no file"),
        ("ftp://x", "is not understood"),
    ]:
        with pytest.raises(UserError, match=message), checkpoint_file(url, None):
            pass
    (tmp_path / "x.pt").write_bytes(b"x")
    with pytest.raises(UserError, match="SHA-256"), checkpoint_file(f"file:{tmp_path}/x.pt", "0"):
        pass
