"""Linear layers and first convolutions computed in another way: torch's results and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustvit.models.layers import convolution, linear
from robustvit.models.layers.convolution import frozen_convolution, reads_images


def gradients(function, inputs: list[Tensor]) -> list[Tensor]:
    """The result of `function` and its gradients, for a fixed loss."""
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    out = function(*inputs)
    weights = torch.linspace(-1.0, 1.0, out.numel()).reshape(out.shape)
    return [out, *torch.autograd.grad((out * weights).sum(), inputs)]


@pytest.mark.parametrize("shape", [(3, 5, 16, 24), (3, 5, 24, 16), (1, 1, 8, 8), (4, 7, 8, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_linear_layer_is_torchs(shape: tuple[int, ...], bias: bool, monkeypatch):
    monkeypatch.setattr(linear, "LARGE", 0)
    called = []
    monkeypatch.setattr(
        linear, "_product", lambda *a, real=linear._product: called.append(1) or real(*a)
    )
    count, tokens, inside, outside = shape
    torch.manual_seed(0)
    inputs = [torch.randn(count, tokens, inside), torch.randn(outside, inside)]
    inputs += [torch.randn(outside)] if bias else []
    pad = () if bias else (None,)
    found = gradients(lambda *v: linear.linear(*v, *pad), inputs)
    expected = gradients(lambda *v: F.linear(*v, *pad), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert len(called) == 3


def test_strange_layouts_of_input_and_gradient(monkeypatch):
    monkeypatch.setattr(linear, "LARGE", 0)
    x, weight = torch.randn(16, 5, 3).permute(2, 1, 0), torch.randn(4, 16)
    bias = torch.randn(4)
    for loss in (Tensor.sum, lambda out: out.transpose(0, 1).reshape(-1)[::2].square().sum()):
        found = _input_gradient(linear.linear, x, weight, bias, loss)
        torch.testing.assert_close(found, _input_gradient(F.linear, x, weight, bias, loss))


def _input_gradient(function, x: Tensor, weight: Tensor, bias: Tensor, loss) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(loss(function(x, weight, bias)), x)[0]


@pytest.mark.parametrize("case", ["small", "half", "autocast"])
def test_other_products_are_left_to_torch(case: str, monkeypatch):
    monkeypatch.setattr(linear, "_product", None)  # would fail
    layer = linear.FastLinear(8, 4)
    if case == "half":
        assert layer.bfloat16()(torch.ones(2, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
    elif case == "autocast":
        monkeypatch.setattr(linear, "LARGE", 0)
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(torch.ones(2, 8)).dtype == torch.bfloat16
    else:
        x = torch.randn(2, 8)
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2, "bias": False},
        {"kernel_size": 7, "padding": 3, "stride": 2},
        {"kernel_size": (3, 2), "padding": (0, 1), "stride": (2, 1), "dilation": 2},
        {"kernel_size": 4, "stride": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_image_convolution_is_torchs(settings: dict, layout, monkeypatch):
    monkeypatch.setattr(convolution, "_CHUNK", 600)  # several chunks
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, **settings).requires_grad_(False)
    assert reads_images(layer)
    images = torch.rand(5, 3, 17, 16).contiguous(memory_format=layout)
    found = gradients(frozen_convolution(layer), [images])
    expected = gradients(layer, [images])
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-5)


def test_scale_and_offset_go_into_the_convolution():
    torch.manual_seed(0)
    scale, offset = torch.rand(6), torch.rand(6)
    for layer in (nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6, bias=False)):
        layer.requires_grad_(False)
        images = torch.rand(2, layer.in_channels, 8, 8)
        expected = layer(images) * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)
        found = frozen_convolution(layer, scale, offset)(images)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(3, 6, 3, groups=3),
        nn.Conv2d(3, 6, 3, padding="same"),
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"),
    ],
)
def test_other_convolutions_stay(layer: nn.Conv2d):
    assert not reads_images(layer)
