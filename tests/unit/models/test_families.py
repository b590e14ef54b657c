"""Model families: activations, stems, and arguments that are wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustvit.core.errors import UserError
from robustvit.models.counting import count_parameters
from robustvit.models.factory import build_model
from robustvit.models.normalization import Normalize, inner_model

SMALL = {"embed_dim": 32, "depth": 1, "num_heads": 2}


def model_spec(family: str, args: dict, **values: object) -> dict:
    spec = {
        "name": "test",
        "family": family,
        "args": args,
        "num_classes": 10,
        "image_size": 32,
        "patch_size": None,
        "drop_path": 0.0,
        "normalization": None,
    }
    return {**spec, **values}


def test_gelu_replaces_every_activation():
    model = build_model(
        model_spec("resnet", {"block": "basic", "layers": [1, 1, 1, 1], "act": "gelu"})
    )
    kinds = {type(module).__name__ for module in model.modules()}
    assert any("GELU" in kind for kind in kinds)
    assert "ReLU" not in kinds


def test_the_small_stem_keeps_the_resolution():
    args = {"block": "basic", "layers": [1, 1, 1, 1], "stem": "cifar"}
    model = build_model(model_spec("resnet", args)).eval()
    assert model.forward_features(torch.rand(1, 3, 32, 32)).shape[-2:] == (4, 4)
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 10)


def test_timm_models_take_the_image_size():
    spec = model_spec("timm", {"model": "deit_tiny_patch16_224", "depth": 1}, image_size=64)
    assert build_model(spec)(torch.rand(1, 3, 64, 64)).shape == (1, 10)


def test_pyautoattacks_resnet_is_the_one_of_its_weights():
    spec = model_spec("pyautoattack_resnet", {"depth": 18})
    assert count_parameters(build_model(spec)) == 11_173_962
    with pytest.raises(UserError, match="image_size 32"):
        build_model({**spec, "image_size": 64})


@pytest.mark.parametrize(
    ("old", "new", "strides"),
    [
        (8, 4, [1, 2, 2]),
        (8, 8, [2, 2, 2]),
        (16, 8, [1, 2, 2, 2]),
        (16, 4, [1, 1, 2, 2]),
        (16, 2, [1, 1, 1, 2]),
    ],
)
def test_adapting_the_patch_changes_strides_and_keeps_weights(old, new, strides):
    args = {**SMALL, "patch_size": old}
    plain = build_model(model_spec("xcit", args), seed=3)
    adapted = build_model(model_spec("xcit", args, patch_size=new), seed=3).eval()
    convolutions = [m for m in adapted.patch_embed.proj.modules() if isinstance(m, nn.Conv2d)]
    assert [m.stride[0] for m in convolutions] == strides
    tokens, (height, width) = adapted.patch_embed(torch.rand(1, 3, 32, 32))
    assert (height, width) == (32 // new, 32 // new)
    assert tokens.shape[1] == adapted.patch_embed.num_patches == (32 // new) ** 2
    assert adapted.patch_embed.patch_size == new
    for name, value in plain.state_dict().items():
        assert torch.equal(value, adapted.state_dict()[name]), name


@pytest.mark.parametrize(("old", "new"), [(8, 3), (8, 16), (16, 0)])
def test_impossible_patches_are_refused(old, new):
    with pytest.raises(UserError, match=f"patch_size {new}"):
        build_model(model_spec("xcit", {**SMALL, "patch_size": old}, patch_size=new))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (model_spec("xict", {}), 'Did you mean "xcit"'),
        (model_spec("xcit", {"embed": 32}), 'no argument "embed"'),
        (model_spec("xcit", {**SMALL, "patch_size": 4}), "8 or 16"),
        (model_spec("xcit", {**SMALL, "patch_size": 16}, image_size=40), "not a multiple"),
        (model_spec("timm", {"model": "deit_smal_patch16_224"}), "Did you mean"),
        (model_spec("timm", {"model": "resnet18", "nonsense": 1}), "nonsense"),
        (model_spec("resnet", {"stem": "tiny"}), r"args\.stem"),
        (model_spec("resnet", {"block": "residual"}), r"args\.block"),
        (model_spec("resnet", {"layers": [1, 1, 1, 1]}, patch_size=4), "cannot change"),
        (model_spec("timm", {"model": "resnet18"}, patch_size=4), "only XCiT"),
        (model_spec("pyautoattack_resnet", {"depth": 20}), r"args\.depth"),
    ],
)
def test_wrong_descriptions_are_answered(spec, message):
    with pytest.raises(UserError, match=message):
        build_model(spec)


def test_initial_weights_depend_on_the_seed_alone():
    spec = model_spec("xcit", {**SMALL, "patch_size": 8})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_model(spec, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    second, other = build_model(spec, seed=1), build_model(spec, seed=2)
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_normalisation_is_the_first_layer_and_not_in_the_weights():
    values = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}
    spec = model_spec("xcit", {**SMALL, "patch_size": 8}, normalization=values)
    model = build_model(spec, seed=1).eval()
    assert isinstance(model, Normalize)
    images = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(values[k]).reshape(1, 3, 1, 1) for k in ("mean", "std"))
    assert torch.allclose(model(images), inner_model(model)((images - mean) / std))
    assert not [name for name in model.state_dict() if not name.startswith("model.")]
