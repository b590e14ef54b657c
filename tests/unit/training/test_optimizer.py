"""Parameter groups: what is decayed and what is not."""

from __future__ import annotations

import timm
import torch
from training_samples import MODEL

from robustvit.models.factory import build_model
from robustvit.models.normalization import Normalize
from robustvit.training.optimizer import build_optimizer, parameter_groups


def _decayed(model: torch.nn.Module) -> dict[str, bool]:
    decayed, _ = parameter_groups(model, 0.5)
    chosen = {id(parameter) for parameter in decayed["params"]}
    return {name: id(parameter) in chosen for name, parameter in model.named_parameters()}


def test_xcit_groups_are_those_of_the_paper():
    found = _decayed(build_model(MODEL))
    assert found["blocks.0.attn.temperature"]
    assert found["pos_embed.token_projection.weight"]  # timm 1.0.31 would leave it out
    assert found["patch_embed.proj.0.0.weight"]
    assert found["head.weight"]
    for name in ("cls_token", "head.bias", "blocks.0.gamma1", "patch_embed.proj.0.1.weight"):
        assert not found[name], name


def test_learned_positions_are_not_decayed():
    model = timm.create_model("vit_tiny_patch16_224", num_classes=4, depth=1)
    found = _decayed(model)
    assert not found["pos_embed"]
    assert not found["cls_token"]
    assert found["blocks.0.attn.qkv.weight"]


def test_every_parameter_is_in_one_group_even_inside_the_normalisation():
    model = Normalize(build_model(MODEL), [0.5] * 3, [0.5] * 3)
    groups = parameter_groups(model, 0.5)
    names = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(names) == sorted(id(parameter) for parameter in model.parameters())
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]


def test_sgd_is_nesterov_momentum():
    optimizer = build_optimizer(
        build_model(MODEL),
        {"name": "sgd", "lr": 0.1, "weight_decay": 1e-4, "momentum": 0.9, "nesterov": True},
    )
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["nesterov"]
    assert optimizer.defaults["momentum"] == 0.9
