"""Which weights of the paper's models are decayed, by name (spec A1.6)."""

from __future__ import annotations

import pytest
import torch
from paper_recipes import CANONICAL, LIGHT, RESNET, XCIT_S12

from robustvit.models.counting import on_meta_device
from robustvit.training.optimizer import build_optimizer, parameter_groups

RESNET50 = {**XCIT_S12, "name": "resnet50_gelu", "family": "resnet", "args": {"act": "gelu"}}
BLOCK = ("attn.temperature", "attn.qkv", "attn.proj", "local_mp.conv1", "local_mp.conv2")
MLP = ("mlp.fc1", "mlp.fc2")


def split(spec: dict) -> tuple[set[str], set[str]]:
    """Names with and without weight decay."""
    model = on_meta_device(spec).requires_grad_(True)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, kept = ({names[id(p)] for p in g["params"]} for g in parameter_groups(model, 0.5))
    assert decayed | kept == set(names.values())
    assert not decayed & kept
    return decayed, kept


def weight(*names: str) -> set[str]:
    return {name if name.endswith("temperature") else f"{name}.weight" for name in names}


def test_xcit_s12():
    """Exactly the matrices and kernels, the attention's temperature, the positions' convolution."""
    decayed, kept = split(XCIT_S12)
    expected = weight("head", "pos_embed.token_projection")
    expected |= weight(*(f"patch_embed.proj.{i}.0" for i in (0, 2, 4, 6)))
    for number in range(12):
        expected |= weight(*(f"blocks.{number}.{name}" for name in BLOCK + MLP))
    for number in range(2):
        attention = ("attn.q", "attn.k", "attn.v", "attn.proj")
        expected |= weight(*(f"cls_attn_blocks.{number}.{name}" for name in attention + MLP))
    assert decayed == expected
    assert len(decayed) == 6 + 12 * 7 + 2 * 6
    assert {"cls_token", "head.bias", "norm.weight", "patch_embed.proj.0.1.weight"} <= kept
    for number in range(12):  # LayerScale, LayerNorm, and BatchNorm of the local interaction
        own = ("gamma1", "gamma2", "gamma3", "norm1.weight", "norm2.weight", "norm3.weight")
        assert {f"blocks.{number}.{name}" for name in own} <= kept
        assert f"blocks.{number}.local_mp.bn.weight" in kept


def test_resnet50():
    """53 kernels (16 blocks of three, four shortcuts, the stem) and the classifier."""
    decayed, kept = split(RESNET50)
    assert len(decayed) == 54
    assert "fc.weight" in decayed
    assert "fc.bias" in kept
    assert all("bn" in name or "downsample.1" in name or name == "fc.bias" for name in kept)


@pytest.mark.parametrize("name", ["deit_small_patch16_224", "cait_s24_224", "convnext_tiny"])
def test_other_transformers(name):
    args = {"model": name} | ({"depth": 12} if "cait" in name else {})
    decayed, kept = split({**XCIT_S12, "family": "timm", "args": args})
    spared = {"pos_embed", "cls_token"} if name != "convnext_tiny" else set()
    assert spared <= kept
    assert all(entry.endswith("weight") for entry in decayed)
    assert not [entry for entry in decayed if "norm" in entry]


@pytest.mark.parametrize(
    ("recipe", "kind", "expected"),
    [
        (LIGHT, torch.optim.AdamW, {"lr": 5e-4, "weight_decay": 0.5}),
        (CANONICAL, torch.optim.AdamW, {"lr": 5e-4, "weight_decay": 0.05}),
        (RESNET, torch.optim.SGD, {"lr": 3.2, "weight_decay": 1e-4, "momentum": 0.9}),
    ],
)
def test_optimizers(recipe, kind, expected):
    optimizer = build_optimizer(torch.nn.Linear(3, 2), recipe["optimizer"])
    assert isinstance(optimizer, kind)
    decayed, kept = optimizer.param_groups
    assert {key: decayed[key] for key in expected} == expected
    assert kept["weight_decay"] == 0.0
    if kind is torch.optim.AdamW:
        assert decayed["betas"] == (0.9, 0.999)
        assert decayed["eps"] == 1e-8
    else:
        assert decayed["nesterov"] is True
