"""Preparing a model for many passes: the same function, or the model itself."""

from __future__ import annotations

import pytest
import torch
from attack_models import convolutional
from timm.models.xcit import Xcit
from torch import nn

from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.preparing import Traced, quicker
from robustvit.models.layers.xcit import speed_up
from robustvit.models.speed import Speed

SHAPE = (3, 16, 16)


def xcit() -> nn.Module:
    torch.manual_seed(0)
    model = Xcit(img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=5)
    model(torch.rand(4, *SHAPE))  # BatchNorm gets statistics
    return model.eval()


def fast_xcit() -> nn.Module:
    model = xcit()
    speed_up(model)
    return model


def convnet() -> nn.Module:
    return convolutional(side=16).eval()


class Rounding(torch.autograd.Function):
    """Pixels on 16 levels, with a gradient as if they were not rounded."""

    @staticmethod
    def forward(ctx, x):
        return (x * 15).round() / 15

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Rounded(nn.Module):
    """A defence that needs the gradient that it puts in the place of the true one."""

    def __init__(self) -> None:
        super().__init__()
        self.model = convnet()

    def forward(self, x):
        return self.model(Rounding.apply(x))


class FourAtATime(nn.Module):
    """Its code asks for the size of the batch, which a trace takes for a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.model = convnet()

    def forward(self, x):
        return self.model(x) * (2.0 if len(x) > 4 else 1.0)


def difference(model, other, images):
    return float((model(images) - other(images)).abs().max())


@pytest.mark.parametrize("build", [xcit, fast_xcit, convnet])
def test_the_copy_computes_the_same(build) -> None:
    model, images = build(), torch.rand(9, *SHAPE)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(images)
    with quicker(model, SHAPE, "cpu") as copy:
        assert isinstance(copy, Traced)
        for count in (1, 4, 9):
            assert difference(model, copy, images[:count]) < 1e-5
    assert torch.equal(model(images), before)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("build", [Rounded, FourAtATime])
def test_what_tracing_would_change_is_not_traced(build) -> None:
    model, images = build().eval(), torch.rand(6, *SHAPE)
    with quicker(model, SHAPE, "cpu") as copy:
        assert not isinstance(copy, Traced)
        assert difference(model, copy, images) < 1e-5
        expected, found = (
            Network(each, each, speed=Speed(8, 0.0)).gradient(images, lambda z: z.amax(dim=1))[2]
            for each in (model, copy)
        )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert float(expected.abs().max()) > 0


def test_a_model_that_cannot_be_copied_is_used_itself() -> None:
    model = convnet()
    model.__deepcopy__ = lambda memo: 1 / 0
    with quicker(model, SHAPE, "cpu") as copy:
        assert copy is model
