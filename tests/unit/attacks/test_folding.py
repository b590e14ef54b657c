"""Frozen networks computed in fewer operations: the same function, and no trace afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from attack_models import Linear, convolutional, middle_images
from torch import Tensor, nn

from robustvit.attacks import pgd
from robustvit.attacks.support.folding import _Folded, folded
from robustvit.attacks.support.frozen import attack_mode
from robustvit.models.factory import build_model

XCIT = {
    "name": "tiny", "family": "xcit", "num_classes": 4, "image_size": 16, "patch_size": 4,
    "drop_path": 0.1, "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "args": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "tokens_norm": True},
}  # fmt: skip
RESNET = {
    "name": "small", "family": "resnet", "num_classes": 4, "image_size": 16, "patch_size": None,
    "drop_path": 0.0, "normalization": None,
    "args": {"layers": [1, 1, 1, 1], "block": "basic", "stem": "cifar", "act": "gelu"},
}  # fmt: skip


def trained(spec: dict) -> nn.Module:
    """A model whose statistics, scales and biases all matter, frozen in evaluation mode."""
    model = build_model(spec, seed=0)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point() and value.ndim < 4:
                value.add_(0.2 * torch.rand(value.shape, generator=random))
    return model.eval().requires_grad_(False)


def results(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    logits = []
    gradient = pgd.input_gradient(model, images, lambda z: logits.append(z) or z.square().sum())
    return logits[0].detach(), gradient


def overridden(model: nn.Module) -> int:
    return sum(isinstance(m.__dict__.get("forward"), _Folded) for m in model.modules())


@pytest.mark.parametrize("spec", [XCIT, RESNET], ids=["xcit", "resnet"])
def test_the_function_is_the_same(spec: dict):
    model, images = trained(spec), torch.rand(6, 3, 16, 16)
    expected = results(model, images)
    with folded(model):
        assert overridden(model) > 5
        found = results(model, images)
    assert overridden(model) == 0
    for one, other in zip(found, expected, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("spec", [XCIT, RESNET], ids=["xcit", "resnet"])
def test_exact_folding_leaves_logits_as_they_are(spec: dict):
    model, images = trained(spec), torch.rand(6, 3, 16, 16)
    expected = results(model, images)
    with folded(model, exact=True):
        assert overridden(model) == 1
        found = results(model, images)
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("spec", [XCIT, RESNET], ids=["xcit", "resnet"])
def test_an_attack_finds_the_same_images(spec: dict, norm: str, monkeypatch):
    model, images = trained(spec), torch.rand(8, 3, 16, 16)
    epsilon = 8 / 255 if norm == "linf" else 0.5

    def attacked() -> Tensor:
        return pgd.perturb(
            model, images, torch.arange(8) % 4, epsilon=epsilon, norm=norm, steps=3,
            step_size=epsilon / 2, seeds=torch.arange(8),
        )  # fmt: skip

    found = attacked()
    monkeypatch.setattr(pgd, "folded", lambda model: attack_mode(model, None))
    expected = attacked()
    # Where a gradient is zero but for rounding, its sign is anybody's guess.
    assert ((found - expected).abs() > 1e-4).float().mean() < 0.002


def test_what_is_not_known_is_computed_to_the_last_bit_as_before(monkeypatch):
    model, images, labels = Linear(), middle_images(4), torch.tensor([0, 1, 0, 1])
    options = {"epsilon": 0.1, "steps": 3, "step_size": 0.05, "seeds": torch.arange(4)}
    found = pgd.perturb(model, images, labels, **options)
    monkeypatch.setattr(pgd, "folded", lambda model: attack_mode(model, None))
    assert torch.equal(found, pgd.perturb(model, images, labels, **options))


@pytest.mark.parametrize("state", ["training", "with gradients"])
def test_a_model_that_moves_is_left_alone(state: str):
    model = trained(XCIT)
    if state == "training":
        model.model.blocks[1].norm1.train()
    else:
        model.model.head.bias.requires_grad_(True)
    with folded(model):
        assert overridden(model) == 0


def test_a_forward_that_somebody_else_put_in_place_stays():
    model = convolutional().eval().requires_grad_(False)
    model[0].forward = lambda x: torch.zeros(len(x), 8, 8, 8)
    with folded(model):
        assert torch.equal(model(torch.rand(2, 3, 8, 8)), model(torch.rand(2, 3, 8, 8)))
        assert overridden(model) == 1  # BatchNorm alone
    assert not isinstance(model[0].__dict__["forward"], _Folded)


def test_blocks_may_be_nested_and_errors_leave_nothing_behind():
    model, images = convolutional().eval().requires_grad_(False), torch.rand(2, 3, 8, 8)
    expected = model(images)
    with pytest.raises(KeyError), folded(model, exact=True):
        before = overridden(model)
        with folded(model):
            assert overridden(model) > before
            torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-5)
        assert overridden(model) == before == 1
        assert torch.equal(model(images), expected)
        raise KeyError
    assert overridden(model) == 0


def test_hooks_still_see_their_modules():
    model, seen = trained(XCIT), []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda m, i, o, name=name: seen.append(name))
    model(torch.rand(2, 3, 16, 16))
    plain, seen[:] = list(seen), []
    with folded(model):
        model(torch.rand(2, 3, 16, 16))
    assert seen == plain


def test_a_compiled_model_is_left_alone():
    model = copy.deepcopy(trained(RESNET))
    model.compile()
    with folded(model):
        assert overridden(model) == 0
