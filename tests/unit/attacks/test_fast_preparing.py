"""Preparing a model for many passes: the same function, or the model itself."""

from __future__ import annotations

import pytest
import torch
from attack_models import convolutional
from timm.models.xcit import Xcit
from torch import nn

from robustvit.attacks.fast import preparing
from robustvit.attacks.fast.network import Network, stable_rows
from robustvit.attacks.fast.preparing import Traced, keep_freed_memory, quicker
from robustvit.models.layers.xcit import speed_up
from robustvit.models.passes import FEWEST, forward

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
    return float((forward(model, images) - forward(other, images)).abs().max())


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
            Network(each, each, width=8).gradient(images, lambda z: z.amax(dim=1))[2]
            for each in (model, copy)
        )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert float(expected.abs().max()) > 0


def test_a_model_that_cannot_be_copied_is_used_itself() -> None:
    model = convnet()
    model.__deepcopy__ = lambda memo: 1 / 0
    with quicker(model, SHAPE, "cpu") as copy:
        assert copy is model


def test_rows_of_few_images_are_those_of_many() -> None:
    model = fast_xcit()
    images = torch.rand(17, *SHAPE)
    assert stable_rows(model, SHAPE, 17, "cpu") == FEWEST
    network = Network(model, model, width=17)
    whole = network.classify(images)
    for count in (1, 2, 3, 5, 16):
        assert torch.equal(network.classify(images[:count]), whole[:count])


def test_a_model_whose_rows_hang_on_the_batch_gets_full_batches() -> None:
    class Hanging(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] * (1.0 + len(x) * 1e-6)

    assert stable_rows(Hanging().eval(), SHAPE, 20, "cpu") == 20

    class Switching(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] * (1.0 if len(x) > 10 else 1.000001)

    model = Switching().eval()
    assert stable_rows(model, SHAPE, 20, "cpu") == 13
    network = Network(model, model, width=20, smallest=13)
    images = torch.rand(20, *SHAPE)
    assert torch.equal(network.classify(images[:2]), network.classify(images)[:2])


def test_without_the_c_library_memory_is_kept_as_it_is(monkeypatch) -> None:
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(preparing.ctypes, "CDLL", missing)
    keep_freed_memory()
