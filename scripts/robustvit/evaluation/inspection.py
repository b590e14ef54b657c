"""Trying a model out before it is attacked: would the attacks' numbers mean what they say?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest import mock

import torch
from torch import Tensor, nn

from robustvit.core.errors import UserError
from robustvit.evaluation import checks
from robustvit.evaluation.shards import Shard, predict

IMAGES = 64  # that are tried, whatever the batch size
LARGE_IMAGES, LARGE_STEPS = 8, 20
NORMALIZATIONS = {
    "no normalisation": ([0.0] * 3, [1.0] * 3),
    "ImageNet's mean and deviation": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "CIFAR-10's mean and deviation": ([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]),
    "mean and deviation 0.5": ([0.5] * 3, [0.5] * 3),
}


def inspect_model(model: nn.Module, shard: Shard, logits: Tensor, spec: dict) -> list[dict]:
    """Check what needs no gradients: repeated passes, the kind of outputs, the normalisation.

    Args:
        model: frozen, in evaluation mode.
        shard: examples.
        logits: of all of them, [N, K].
        spec: EVALUATE.
    """
    images, labels, size = shard.images[:IMAGES], shard.labels[:IMAGES], spec["batch_size"]
    with _differentiations() as calls:
        again = predict(model, images, size)
    training = sum(module.training for module in model.modules())
    found = checks.check_logits(logits[:IMAGES], again, training)
    found.append(checks.check_static(len(calls)))
    # One try of an evaluation is enough, and the first shard is always there.
    if spec["shard"]["index"] == 0:
        own = logits[:IMAGES].argmax(dim=1) == labels
        others = {
            name: predict(model, seen, size).argmax(dim=1) == labels
            for name, seen in _other_normalizations(images, spec["model"]["normalization"])
        }
        found.append(checks.check_normalization(own, others))
    return found


def inspect_gradients(
    pgd: ModuleType, model: nn.Module, shard: Shard, logits: Tensor, spec: dict
) -> list[dict]:
    """Check that there are gradients, and that they lead somewhere.

    Args:
        pgd: the attack of that name.

    Raises:
        UserError: if the logits do not depend on the images in a way that torch can follow.
    """
    _require_differentiable(model, shard.images[:1], spec["experiment"])
    zero = pgd.count_zero_gradients(model, shard.images, shard.labels, spec["batch_size"])
    found = [checks.check_gradients(zero, len(shard.images))]
    chosen = (logits.argmax(dim=1) == shard.labels).nonzero().flatten()[:LARGE_IMAGES]
    if spec["shard"]["index"] == 0 and spec["threat"] and len(chosen):
        found.append(_large_epsilon(pgd, model, shard, chosen, spec["threat"]["norm"]))
    return found


def _large_epsilon(
    pgd: ModuleType, model: nn.Module, shard: Shard, chosen: Tensor, norm: str
) -> dict:
    """Attack a few examples in a ball that holds every image there is."""
    images, labels = shard.images[chosen], shard.labels[chosen]
    epsilon = 1.0 if norm == "linf" else math.sqrt(images[0].numel())
    attacked = pgd.perturb(
        model, images, labels, epsilon=epsilon, norm=norm, steps=LARGE_STEPS,
        step_size=pgd.default_step_size(epsilon, LARGE_STEPS), seeds=shard.seeds[chosen],
    )  # fmt: skip
    standing = int((predict(model, attacked, len(attacked)).argmax(dim=1) == labels).sum())
    return checks.check_large_epsilon(standing, len(chosen), epsilon)


def _other_normalizations(images: Tensor, own: dict | None) -> Iterator[tuple[str, Tensor]]:
    """Images that reach the network as under another normalisation than the model's own."""
    mean, std = _columns(own or {"mean": [0.0] * 3, "std": [1.0] * 3}, images)
    for name, (other_mean, other_std) in NORMALIZATIONS.items():
        other = _columns({"mean": other_mean, "std": other_std}, images)
        if not all(
            torch.allclose(a, b, atol=1e-2) for a, b in zip((mean, std), other, strict=True)
        ):
            yield name, (images - other[0]) / other[1] * std + mean


def _columns(normalization: dict, like: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = (like.new_tensor(normalization[key]) for key in ("mean", "std"))
    return mean.reshape(-1, 1, 1), std.reshape(-1, 1, 1)


def _require_differentiable(model: nn.Module, images: Tensor, where: str) -> None:
    with torch.enable_grad():
        logits = model(images.clone().requires_grad_(True))
    if not logits.requires_grad:
        raise UserError(
            f"{where}: the model's logits have no gradient with respect to the images (it detaches "
            "them, or computes without gradients), so gradient-based attacks cannot work."
        )


@contextmanager
def _differentiations() -> Iterator[list[str]]:
    """List the calls of torch's differentiation within the block."""
    calls: list[str] = []

    def noting(function: object, name: str) -> object:
        def noted(*arguments: object, **options: object) -> object:
            calls.append(name)
            return function(*arguments, **options)

        return noted

    with (
        mock.patch.object(torch.autograd, "grad", noting(torch.autograd.grad, "grad")),
        mock.patch.object(torch.autograd, "backward", noting(torch.autograd.backward, "backward")),
    ):
        yield calls
