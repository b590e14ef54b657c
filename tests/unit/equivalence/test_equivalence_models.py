"""Adapting the stem, replacing the head, and normalisation as released (spec A1.5, A2.1, A2.2)."""

from __future__ import annotations

import pytest
import torch
from paper_recipes import XCIT_S12
from torch import nn

from robustvit.core.errors import UserError
from robustvit.models.counting import on_meta_device
from robustvit.models.factory import build_model
from robustvit.models.weights import load_for_finetuning, read_state, save_weights

SMALL = {"patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2, "tokens_norm": True}
CIFAR_STATISTICS = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2471, 0.2435, 0.2616]}


def small(seed: int, **values: object) -> nn.Module:
    spec = {**XCIT_S12, "args": SMALL, "image_size": 32, "drop_path": 0.0, **values}
    return build_model(spec, seed=seed)


@pytest.mark.parametrize(
    ("patch", "strides"),
    [
        (None, [2, 2, 2, 2]),
        (8, [1, 2, 2, 2]),
        (4, [1, 1, 2, 2]),
        (2, [1, 1, 1, 2]),  # the released loop hit all four: a deviation on purpose
    ],
)
def test_stem_of_the_real_model(patch, strides):
    model = on_meta_device({**XCIT_S12, "patch_size": patch})
    convolutions = [m for m in model.patch_embed.modules() if isinstance(m, nn.Conv2d)]
    assert [convolution.stride for convolution in convolutions] == [(s, s) for s in strides]
    assert [convolution.out_channels for convolution in convolutions] == [48, 96, 192, 384]
    assert model.patch_embed.patch_size == (patch or 16)


@pytest.mark.parametrize("patch", [8, 4, 2])
def test_adapting_keeps_every_weight_bit_for_bit(patch):
    plain, adapted = small(1).state_dict(), small(1, patch_size=patch).state_dict()
    assert plain.keys() == adapted.keys()
    assert all(torch.equal(value, adapted[name]) for name, value in plain.items())


@pytest.fixture
def pretrained(tmp_path):
    """A robust model of 1,000 classes, trained without normalisation."""
    model, path = small(1), tmp_path / "weights.safetensors"
    save_weights(path, model, {})
    return model, path


def test_fine_tuning_replaces_the_head_only(pretrained):
    source, path = pretrained
    model = small(2, num_classes=10, patch_size=4, normalization=CIFAR_STATISTICS)
    fresh = {name: value.clone() for name, value in model.model.state_dict().items()}
    assert load_for_finetuning(model, path) == ["head.bias", "head.weight"]
    found = model.model.state_dict()
    for name, value in source.state_dict().items():
        expected = fresh[name] if name.startswith("head") else value
        assert torch.equal(found[name], expected), name
    # XCiT's positions are Fourier features with a 1×1 convolution: nothing to interpolate.
    assert "pos_embed.token_projection.weight" in found
    assert "pos_embed" not in found


def test_a_head_of_the_same_shape_is_kept(pretrained):
    source, path = pretrained
    model = small(2)
    assert load_for_finetuning(model, path) == []
    assert torch.equal(model.head.weight, source.head.weight)


def test_the_normaliser_is_put_on_afterwards_and_is_not_in_the_file(pretrained, tmp_path):
    source, path = pretrained
    model = small(2, normalization=CIFAR_STATISTICS)
    load_for_finetuning(model, path)
    images = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(CIFAR_STATISTICS[k]).reshape(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        expected = source.eval()((images - mean) / std)
        torch.testing.assert_close(model.eval()(images), expected)
    save_weights(tmp_path / "tuned.safetensors", model, {})
    assert read_state(tmp_path / "tuned.safetensors").keys() == read_state(path).keys()


RESNET = {"block": "basic", "layers": [1, 1, 1, 1]}


def test_a_resnet_for_32_pixels_starts_from_a_large_one(tmp_path):
    """Its 3×3 stem cannot take 7×7 weights; torch stops there in the released code."""
    path = tmp_path / "weights.safetensors"
    source = small(1, family="resnet", args=RESNET)
    save_weights(path, source, {})
    model = small(2, family="resnet", args={**RESNET, "stem": "cifar"}, num_classes=10)
    fresh = model.conv1.weight.clone()
    assert load_for_finetuning(model, path) == ["conv1.weight", "fc.bias", "fc.weight"]
    assert torch.equal(model.conv1.weight, fresh)
    assert torch.equal(model.layer1[0].conv1.weight, source.layer1[0].conv1.weight)


def test_a_stem_of_another_width_is_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, small(1, family="resnet", args=RESNET), {})
    wider = small(2, family="resnet", args=RESNET)
    wider.conv1 = nn.Conv2d(3, 32, 3, bias=False)
    with pytest.raises(UserError, match=r"of another shape: conv1\.weight"):
        load_for_finetuning(wider, path)
