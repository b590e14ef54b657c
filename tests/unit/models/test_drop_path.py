"""Stochastic depth per example: the same draws however a batch is cut, and timm's rates."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import Tensor, nn

from robustvit.models.factory import build_model
from robustvit.models.layers.drop_path import SeededDropPath, install_stochastic_depth

SPEC = {
    "name": "tiny", "family": "xcit", "num_classes": 4, "image_size": 16, "patch_size": None,
    "drop_path": 0.5, "normalization": None,
    "args": {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2},
}  # fmt: skip


def layers(*rates: float, scale_by_keep: bool = True) -> nn.Module:
    """A chain of layers that does nothing but drop."""
    return nn.Sequential(*(DropPath(rate, scale_by_keep) for rate in rates))


def seeds(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.int64) * 7919 + 3


def test_an_example_draws_the_same_wherever_it_is():
    model = layers(0.3, 0.6).train()
    depth = install_stochastic_depth(model)
    depth.begin(seeds(8))
    whole = [model(torch.ones(8, 5)), model(torch.ones(8, 5))]
    for part in (slice(0, 2), slice(2, 8), slice(5, 6)):
        depth.begin(seeds(8)[part])
        for expected in whole:
            assert torch.equal(model(torch.ones(8, 5)[part]), expected[part])
    assert not torch.equal(whole[0], whole[1])


def test_rates_and_means_are_those_of_timm():
    model = layers(0.25).train()
    install_stochastic_depth(model).begin(seeds(20000))
    out = model(torch.ones(20000, 1))
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert out.max().item() == pytest.approx(1 / 0.75)
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("rate", "scaled", "highest"), [(0.5, False, 1.0), (1.0, True, 0.0)])
def test_edges_of_the_scale(rate: float, scaled: bool, highest: float):
    model = layers(rate, scale_by_keep=scaled).train()
    install_stochastic_depth(model).begin(seeds(64))
    assert model(torch.ones(64, 2)).max().item() == highest


def test_layers_draw_independently():
    model = layers(0.5, 0.5).train()
    install_stochastic_depth(model).begin(seeds(4000))
    first = model[0]
    kept = {}
    first.register_forward_hook(lambda m, i, out: kept.update(first=out[:, 0] > 0))
    model[1].register_forward_hook(lambda m, i, out: kept.update(both=out[:, 0] > 0))
    model(torch.ones(4000, 1))
    assert kept["both"].float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_without_seeds_it_is_timms_layer():
    model, plain = layers(0.5).train(), layers(0.5).train()
    install_stochastic_depth(model)
    torch.manual_seed(0)
    expected = plain(torch.ones(32, 3))
    torch.manual_seed(0)
    assert torch.equal(model(torch.ones(32, 3)), expected)


def test_evaluation_neither_drops_nor_draws():
    model = layers(0.5).eval()
    depth = install_stochastic_depth(model)
    depth.begin(seeds(16))
    assert torch.equal(model(torch.ones(16, 2)), torch.ones(16, 2))
    model.train()
    after_evaluation = model(torch.ones(16, 2))
    depth.begin(seeds(16))
    assert torch.equal(model(torch.ones(16, 2)), after_evaluation)


def test_several_versions_of_a_batch_in_one_pass():
    model = layers(0.5).train()
    depth = install_stochastic_depth(model)
    depth.begin(seeds(64))
    doubled = model(torch.ones(128, 1))
    depth.begin(seeds(64))
    assert torch.equal(doubled[:64], model(torch.ones(64, 1)))
    assert not torch.equal(doubled[:64], doubled[64:])


def test_a_batch_that_does_not_fit_its_seeds():
    model = layers(0.5).train()
    install_stochastic_depth(model).begin(seeds(4))
    with pytest.raises(ValueError, match="6 examples"):
        model(torch.ones(6, 1))


def test_a_network_keeps_its_tree_and_its_global_random_state():
    model = build_model(SPEC, seed=0)
    names, keys = [n for n, _ in model.named_modules()], list(model.state_dict())
    depth = install_stochastic_depth(model)
    assert [n for n, _ in model.named_modules()] == names
    assert list(model.state_dict()) == keys
    assert len(depth.rates) == 9  # three branches in each of three blocks
    depth.begin(seeds(2))
    images, before = torch.rand(2, 3, 16, 16), torch.random.get_rng_state()
    model(images)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_splits_exactly_but_for_batchnorm():
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=3, drop_path_rate=0.5, num_classes=3
    )
    depth = install_stochastic_depth(model.train())
    images = torch.rand(4, 3, 32, 32)
    depth.begin(seeds(4))
    whole = model(images)
    parts = []
    for half in (slice(0, 2), slice(2, 4)):
        depth.begin(seeds(4)[half])
        parts.append(model(images[half]))
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-5)


def test_rate_zero_changes_nothing():
    model = build_model({**SPEC, "drop_path": 0.0}, seed=0)
    depth = install_stochastic_depth(model)
    depth.begin(seeds(2))
    assert depth.rates == []
    assert not model._forward_pre_hooks
    assert not any(isinstance(m, SeededDropPath) for m in model.modules())


def test_a_copy_of_the_model_has_its_own_draws():
    model = layers(0.5).train()
    depth = install_stochastic_depth(model)
    depth.begin(seeds(32))
    twin = copy.deepcopy(model)
    expected = model(torch.ones(32, 1))
    depth.begin(seeds(32) + 1)
    assert torch.equal(twin(torch.ones(32, 1)), expected)
    assert twin[0].depth is not depth


def test_half_precision_stays_half_precision():
    model = layers(0.5).train()
    install_stochastic_depth(model).begin(seeds(8))
    assert model(torch.ones(8, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16
