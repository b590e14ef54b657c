"""attack_mode leaves no trace on the model or the process."""

from __future__ import annotations

import pytest
import torch
from attack_models import convolutional
from torch import nn

from robustvit.attacks.pgd import perturb
from robustvit.attacks.support.frozen import attack_mode


def snapshot(model: nn.Module) -> dict:
    return {
        "modes": [module.training for module in model.modules()],
        "flags": [p.requires_grad for p in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "buffers": [id(buffer) for buffer in model.buffers()],
        "random": torch.get_rng_state(),
    }


def assert_same(before: dict, after: dict) -> None:
    for key in ("modes", "flags", "buffers"):
        assert before[key] == after[key], key
    assert torch.equal(before["random"], after["random"])
    for old, new in zip(before["grads"], after["grads"], strict=True):
        assert (old is None and new is None) or torch.equal(old, new)
    for name, value in before["values"].items():
        assert torch.equal(value, after["values"][name]), name


def mixed_model() -> nn.Module:
    """Some modules in eval mode, some parameters frozen, some gradients there."""
    model = convolutional()
    model[3].eval()
    model[0].weight.requires_grad_(False)
    model[5].bias.grad = torch.ones(4)
    return model


@pytest.mark.parametrize("mode", ["eval", "train", None])
def test_nothing_changes(mode: str | None) -> None:
    model = mixed_model()
    before = snapshot(model)
    images, labels = torch.rand(5, 3, 8, 8), torch.arange(5) % 4
    torch.set_rng_state(before["random"])
    with attack_mode(model, mode):
        assert not any(p.requires_grad for p in model.parameters())
        if mode is not None:
            assert all(module.training == (mode == "train") for module in model.modules())
        perturb(model, images, labels, epsilon=0.1, steps=2, step_size=0.1, seeds=torch.arange(5))
    assert_same(before, snapshot(model))


def test_everything_is_restored_after_an_error() -> None:
    model = mixed_model()
    before = snapshot(model)
    with pytest.raises(ZeroDivisionError), attack_mode(model, "train"):
        model(torch.rand(5, 3, 8, 8))
        raise ZeroDivisionError
    assert_same(before, snapshot(model))


def test_a_graph_from_before_stays_valid() -> None:
    """TRADES keeps the clean forward pass while it attacks in training mode."""
    model = convolutional()
    clean = model(torch.rand(5, 3, 8, 8)).sum()
    with attack_mode(model, "train"):
        model(torch.rand(5, 3, 8, 8))
    clean.backward()
    assert model[0].weight.grad is not None


def test_shared_buffers_stay_shared() -> None:
    model = nn.ModuleList([nn.BatchNorm1d(2), nn.BatchNorm1d(2)])
    model[1].running_mean = model[0].running_mean
    with attack_mode(model, "train"):
        assert model[1].running_mean is model[0].running_mean
    assert model[1].running_mean is model[0].running_mean
