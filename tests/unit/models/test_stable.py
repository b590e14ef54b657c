"""An image's logits and gradient are the same in any batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustvit.models.stable import REFERENCE, StableRows

SHAPE = (3, 4, 4)
USUAL = REFERENCE["cpu"]


class Fickle(nn.Module):
    """A linear model whose rounding depends on the size of the batch below seven images."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(48, 4)
        self.sizes: list[int] = []
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        rounding = 1.0 + 1e-5 / len(images) if len(images) < 7 else 1.0
        return self.head(images.flatten(1)) * rounding


class Crowded(Fickle):
    """A model that looks at the other images of the batch."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + images.mean()


def answers(model: nn.Module, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Logits and gradients of all images in batches of `size`."""
    found = []
    for part in images.split(size):
        point = part.clone().requires_grad_(True)
        logits = model(point)
        (gradient,) = torch.autograd.grad(logits.square().sum(), point)
        found.append((logits.detach(), gradient))
    logits, gradients = zip(*found, strict=True)
    return torch.cat(logits), torch.cat(gradients)


@pytest.mark.parametrize("size", [1, 2, 5, 7, 8, 9, 19, 20])
def test_batches_change_no_bit(size: int) -> None:
    images, model = torch.rand(20, *SHAPE), Fickle()
    expected = answers(StableRows(model, SHAPE), images, USUAL)
    stable = StableRows(model, SHAPE)
    for _ in range(3):  # the first time, when it is tried out, and once it is known
        found = answers(stable, images, size)
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert stable.stable
    plain = answers(model, images, size)
    assert all(torch.equal(a, b) for a, b in zip(expected, plain, strict=True)) == (
        size >= 7 and 20 % size not in range(1, 7)
    )


def test_sizes_that_change_nothing_are_used_as_they_are() -> None:
    model = Fickle()
    stable = StableRows(model, SHAPE)
    for size, used in ((20, [20]), (3, [USUAL])):
        for _ in range(2):
            stable(torch.rand(size, *SHAPE))
        model.sizes.clear()
        stable(torch.rand(size, *SHAPE))
        assert model.sizes == used


def test_gradients_and_none_are_told_apart() -> None:
    model = Fickle()
    stable = StableRows(model, SHAPE)
    for _ in range(3):
        stable(torch.rand(20, *SHAPE))
    model.sizes.clear()
    stable(torch.rand(20, *SHAPE).requires_grad_(True))
    assert max(model.sizes) == USUAL


@pytest.mark.parametrize("model", [Crowded(), nn.Sequential(Fickle(), nn.Dropout(0.5).train())])
def test_a_model_that_looks_at_the_batch_or_at_chance_is_found_out(model: nn.Module) -> None:
    stable, images = StableRows(model, SHAPE), torch.rand(5, *SHAPE)
    torch.manual_seed(1)
    found = [stable(images) for _ in range(2)][1]
    assert not stable.stable
    assert len(found) == 5


def test_a_wrapped_model_counts_as_evaluated() -> None:
    assert not any(module.training for module in StableRows(Fickle(), SHAPE).modules())


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_logits_of_another_precision_are_fine(kind: torch.dtype) -> None:
    class Cast(Fickle):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).to(kind)

    stable, images = StableRows(Cast(), SHAPE), torch.rand(20, *SHAPE)
    for size in (5, 5, 20, 20, 7, 7):
        assert torch.equal(stable(images[:size]), stable(images)[:size])
    assert stable.stable


def test_nan_is_as_nan() -> None:
    class Undefined(Fickle):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * torch.where(images[:, :1, 0, 0] > 0.5, torch.nan, 1.0)

    stable = StableRows(Undefined(), SHAPE)
    assert stable.tried(torch.rand(3, *SHAPE))


def test_all_ways_of_asking_are_tried() -> None:
    class Crooked(Fickle):
        """Its gradient alone depends on the place in the batch."""

        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            ramp = 1.0 + 1e-3 * torch.arange(len(images))[:, None]
            return logits.detach() + (logits - logits.detach()) * ramp

    assert not StableRows(Crooked(), SHAPE).tried(torch.rand(1, *SHAPE))
    assert StableRows(Fickle(), SHAPE).tried(torch.rand(1, *SHAPE))


def test_a_reference_that_does_not_fit_into_memory_is_halved() -> None:
    class Large(Fickle):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) > 4:
                raise torch.OutOfMemoryError(f"{len(images)} images")
            return super().forward(images)

    model = Large()
    stable, images = StableRows(model, SHAPE), torch.rand(4, *SHAPE)
    found = [stable(images[:size]) for size in (4, 1, 3, 3, 2)]
    assert stable.stable
    assert all(torch.equal(logits, found[0][: len(logits)]) for logits in found)
