"""Parameter groups: what is decayed and what is not; layer-wise rates; timm's optimisers."""

from __future__ import annotations

import copy
import io

import pytest
import timm
import torch
from timm.optim import create_optimizer_v2, param_groups_layer_decay
from torch import nn
from training_samples import MODEL

from robustvit.core.errors import UserError
from robustvit.models.factory import build_model
from robustvit.models.normalization import Normalize
from robustvit.training.optimizer import build_optimizer, parameter_groups, set_learning_rate

SETTINGS = {
    "name": "adamw",
    "lr": 1e-2,
    "weight_decay": 0.05,
    "layer_decay": None,
    "betas": None,
    "eps": None,
    "momentum": 0.9,
    "nesterov": True,
}
DEEP = {**MODEL, "args": {**MODEL["args"], "depth": 3}}


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


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int = 0) -> None:
    """One step on random images."""
    generator = torch.Generator().manual_seed(seed)
    model.eval()  # no stochastic depth
    optimizer.zero_grad()
    model(torch.rand(4, 3, 16, 16, generator=generator)).square().sum().backward()
    optimizer.step()


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"name": "adamw"}, lambda groups: torch.optim.AdamW(groups, lr=1e-2, fused=True)),
        (
            {"name": "sgd"},
            lambda groups: torch.optim.SGD(
                groups, lr=1e-2, momentum=0.9, nesterov=True, fused=True
            ),
        ),
    ],
    ids=["adamw", "sgd"],
)
def test_adamw_and_sgd_are_torchs_to_the_bit(settings, reference):
    ours, theirs = (build_model(MODEL, seed=1) for _ in range(2))
    spared = ("cls_token", ".bias")
    kept = [p for n, p in theirs.named_parameters() if p.ndim <= 1 or n.endswith(spared)]
    decayed = [p for n, p in theirs.named_parameters() if p.ndim > 1 and not n.endswith(spared)]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": kept, "weight_decay": 0.0}]
    built, expected = build_optimizer(ours, SETTINGS | settings), reference(groups)
    for seed in range(3):
        for optimizer in (built, expected):
            set_learning_rate(optimizer, 1e-3 * (seed + 1))
        step(ours, built, seed)
        step(theirs, expected, seed)
    assert_equal(ours, theirs)


def test_layers_learn_at_timms_rates_and_keep_the_papers_decay():
    model = Normalize(build_model(DEEP), [0.5] * 3, [0.5] * 3)
    groups = parameter_groups(model, 0.5, layer_decay=0.7)
    ours = {id(p): (g["lr_scale"], g["weight_decay"]) for g in groups for p in g["params"]}
    timms = param_groups_layer_decay(model.model, layer_decay=0.7)
    scales = {id(p): group["lr_scale"] for group in timms for p in group["params"]}
    plain = parameter_groups(model, 0.5)
    decays = {id(p): group["weight_decay"] for group in plain for p in group["params"]}
    assert ours == {key: (scales[key], decays[key]) for key in decays}
    named = {n: ours[id(p)][0] for n, p in model.model.named_parameters()}
    assert named["head.weight"] == 1.0
    assert named["blocks.0.attn.qkv.weight"] == pytest.approx(
        0.7 ** (len(set(scales.values())) - 2)
    )
    assert named["blocks.1.attn.qkv.weight"] * 0.7 == pytest.approx(
        named["blocks.0.attn.qkv.weight"]
    )


def test_the_learning_rate_is_scaled_by_layer():
    model = build_model(DEEP)
    optimizer = build_optimizer(model, SETTINGS | {"layer_decay": 0.5})
    set_learning_rate(optimizer, 0.01)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert named["head.weight"] == 0.01
    assert named["blocks.0.attn.qkv.weight"] == 0.5 * named["blocks.1.attn.qkv.weight"]
    assert named["cls_token"] == min(rates.values())


def test_a_model_without_layers_is_refused():
    settings = SETTINGS | {"layer_decay": 0.5}
    with pytest.raises(UserError, match=r"recipe\.optimizer\.layer_decay.*group_matcher"):
        build_optimizer(nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), settings)


@pytest.mark.parametrize("name", ["lamb", "adan", "lion", "nadamw", "lars"])
def test_timms_optimisers_are_timms_and_resume_exactly(name):
    ours, theirs = (build_model(MODEL, seed=1) for _ in range(2))
    optimizer = build_optimizer(ours, SETTINGS | {"name": name})
    reference = create_optimizer_v2(parameter_groups(theirs, 0.05), name, lr=1e-2, momentum=0.9)
    for seed in range(2):
        step(ours, optimizer, seed)
        step(theirs, reference, seed)
    assert_equal(ours, theirs)
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    resumed = copy.deepcopy(ours)
    again = build_optimizer(resumed, SETTINGS | {"name": name})
    saved.seek(0)
    again.load_state_dict(torch.load(saved, weights_only=True))
    step(ours, optimizer, 2)
    step(resumed, again, 2)
    assert_equal(ours, resumed)


def test_an_optimiser_gets_as_many_betas_as_it_takes():
    model, betas = build_model(MODEL), [0.98, 0.92, 0.99]
    optimizer = build_optimizer(model, SETTINGS | {"name": "adan", "betas": betas, "eps": 1e-7})
    assert optimizer.defaults["betas"] == tuple(betas)
    assert optimizer.defaults["eps"] == 1e-7
    with pytest.raises(UserError, match=r"recipe\.optimizer\.betas: adan takes 3 values, not 2"):
        build_optimizer(model, SETTINGS | {"name": "adan", "betas": [0.9, 0.999]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lambb", 'Did you mean "lamb"'),
        ("adahessian", "recipe.optimizer.name"),
        ("bnblion", "bnblion cannot be used here"),
    ],
)
def test_optimisers_that_cannot_be_used_are_named(name, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(build_model(MODEL), SETTINGS | {"name": name})
