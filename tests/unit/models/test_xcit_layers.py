"""XCiT's faster layers: the same names and, up to rounding, the same numbers as timm's."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from timm.models.xcit import XCA, Xcit
from torch import Tensor, nn

from robustvit.models.factory import build_model, build_network
from robustvit.models.layers.cross_covariance import _plain, cross_covariance_attention
from robustvit.models.layers.xcit import FASTER, FastXCA, speed_up

TOLERANCE = 1e-5  # of the largest number compared


def network(**args: object) -> Xcit:
    """A small XCiT of timm whose every parameter matters."""
    torch.manual_seed(0)
    keywords = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, **args}
    model = Xcit(img_size=32, num_classes=5, **keywords)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def results(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Logits and gradients of a loss with respect to images and parameters."""
    images = images.clone().requires_grad_()
    logits = model(images)
    names = ["images", *(name for name, _ in model.named_parameters())]
    loss = (logits.softmax(dim=1)[:, 0] + 0.1 * logits.square().sum(dim=1)).sum()
    gradients = torch.autograd.grad(loss, [images, *model.parameters()], allow_unused=True)
    return {"logits": logits, **dict(zip(names, gradients, strict=True))}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    largest = max(float(value.detach().abs().max()) for value in expected.values())
    for name, value in expected.items():
        # Some gradients are zero but for rounding: of a bias before BatchNorm, or of the bias of a
        # class token's keys, which shifts all scores alike.
        scale = max(float(value.detach().abs().max()), 0.01 * largest)
        difference = float((found[name] - value).detach().abs().max())
        assert difference <= TOLERANCE * scale, name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"tokens_norm": True},
        {"global_pool": "avg"},
        {"cls_attn_layers": 1, "qkv_bias": False},
        {"use_pos_embed": False, "act_layer": nn.SiLU},
        {"patch_size": 16, "num_heads": 2},
    ],
    ids=str,
)
def test_the_network_is_that_of_timm(args: dict, training: bool):
    model = network(**args).train(training)
    faster = copy.deepcopy(model)
    speed_up(faster)
    images = torch.rand(3, 3, 32, 32)
    assert_same(results(faster, images), results(model, images))
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(faster.get_buffer(name), buffer, rtol=1e-5, atol=1e-6)


def test_every_layer_of_a_built_model_is_faster_and_keeps_its_name():
    spec = {
        "name": "tiny", "family": "xcit", "num_classes": 5, "image_size": 16, "patch_size": 4,
        "drop_path": 0.1, "normalization": None,
        "args": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4},
    }  # fmt: skip
    built, plain = build_model(spec, seed=0), build_network(spec)
    assert list(built.state_dict()) == list(plain.state_dict())
    assert {type(m) for m in built.modules()} >= set(FASTER.values())
    assert not {type(m) for m in built.modules()} & set(FASTER)
    named = build_model({**spec, "family": "timm", "args": {"model": "xcit_nano_12_p8_224"}})
    assert any(isinstance(m, FastXCA) for m in named.modules())


@pytest.mark.parametrize("rate", ["attn_drop_rate", "drop_path_rate"])
def test_random_layers_stay_random(rate: str):
    model = network(**{rate: 0.5}).train()
    speed_up(model)
    torch.manual_seed(0)
    first, second = model(torch.ones(4, 3, 32, 32)), model(torch.ones(4, 3, 32, 32))
    assert not torch.allclose(first, second)
    assert any(type(m) is XCA for m in model.modules()) == (rate == "attn_drop_rate")


def test_stochastic_depth_drops_whole_branches_as_timm_does():
    model = network(drop_path_rate=0.5, depth=1, cls_attn_layers=1).train()
    faster = copy.deepcopy(model)
    speed_up(faster)
    images = torch.rand(16, 3, 32, 32)
    torch.manual_seed(1)
    expected = model(images)
    torch.manual_seed(1)
    torch.testing.assert_close(faster(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 10, 24, 3), (1, 5, 16, 1), (2, 70, 16, 4)])
def test_both_ways_to_attend_agree_with_float64(shape: tuple[int, int, int, int]):
    count, tokens, width, heads = shape
    random = torch.Generator().manual_seed(0)
    qkv = torch.randn(count, tokens, 3 * width, generator=random)
    temperature = 0.5 + torch.rand(heads, 1, 1, generator=random)
    upstream = torch.randn(count, tokens, width, generator=random)

    def computed(function, dtype: torch.dtype) -> list[Tensor]:
        inputs = [qkv.to(dtype).requires_grad_(), temperature.to(dtype).requires_grad_()]
        out = function(*inputs, heads)
        return [out, *torch.autograd.grad(out, inputs, upstream.to(dtype))]

    exact = computed(_reference, torch.float64)
    for function in (cross_covariance_attention, _plain):
        for found, expected in zip(computed(function, torch.float32), exact, strict=True):
            torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("attend", [cross_covariance_attention, _plain])
def test_queries_of_length_zero_give_finite_gradients(attend):
    qkv = torch.zeros(2, 4, 24, requires_grad=True)
    out = attend(qkv, torch.ones(2, 1, 1), 2)
    (gradient,) = torch.autograd.grad(out.sum(), qkv)
    assert gradient.isfinite().all()


def test_half_precision_runs_and_is_near():
    model = network().eval()
    faster = copy.deepcopy(model)
    speed_up(faster)
    images = torch.rand(4, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = results(faster, images), results(model, images)
    assert found["logits"].dtype == expected["logits"].dtype
    torch.testing.assert_close(found["logits"], expected["logits"], rtol=0.05, atol=0.05)


def _reference(qkv: Tensor, temperature: Tensor, heads: int) -> Tensor:
    """The paper's formula: queries and keys of unit length over the tokens."""
    split = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 4, 1)
    queries, keys, values = split[0], split[1], split[2]
    products = F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(-2, -1)
    out = (products * temperature).softmax(dim=-1) @ values
    return out.permute(0, 3, 1, 2).flatten(2)
