"""Running component attacks one after the other, each on what the earlier ones left standing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from robustvit.attacks._watching import Watch
from robustvit.attacks.pgd import still_correct
from robustvit.attacks.support.frozen import attack_mode
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.attacks.support.random import fold


class Attack(Protocol):
    """A component attack, ready to run.

    Attributes:
        passes: int64 [B] after `attack`, forward passes that each example took.
    """

    passes: Tensor

    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return adversarial examples; the clean image where none was found."""


@dataclass(frozen=True)
class Component:
    """One attack of an ensemble.

    Attributes:
        name: as in rows and reports, for instance "apgd-ce".
        stream: number of its random stream; it never changes, whatever else runs.
        build: makes the attack around a callable model.
        calls: expected calls of the model for an example that withstands it.
        cost: work of a call in forward passes.
    """

    name: str
    stream: int
    build: Callable[[Watch], Attack]
    calls: float
    cost: float

    @property
    def work(self) -> float:
        """Expected work on such an example in forward passes."""
        return self.calls * self.cost


def run_ensemble(
    components: list[Component],
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    seeds: Tensor,
    batch_size: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> dict[str, AttackOutcome]:
    """Run `components` in order; an example that one of them breaks is not attacked again.

    Args:
        images: float32 [B, 3, H, W] in [0, 1].
        labels: int64 [B].
        epsilon: radius in pixel units; 0 leaves every image as it is.
        seeds: int64 [B].
        batch_size: examples attacked at a time.
        report: gets the finished fraction of the expected work.
        checkpoint: keeps the outcomes of finished components for a job that starts again.

    Returns:
        One outcome per component, in order.
    """
    # pyautoattack calls `view` on gradients, which fails for images in channels_last layout.
    images = images.detach().contiguous()
    watch, outcomes = Watch(model, report), {}
    with attack_mode(model, "eval"):
        standing = still_correct(model, images, labels, batch_size)
        for place, component in enumerate(components):
            outcome = checkpoint.load(component.name) if checkpoint else None
            if outcome is None:
                _announce(watch, components[place:], int(standing.sum()) if epsilon > 0 else 0)
                outcome = _run(
                    component, watch, images, labels, standing, seeds, epsilon, batch_size
                )
                if checkpoint:
                    checkpoint.save(component.name, outcome)
            outcomes[component.name] = outcome
            left = still_correct(model, outcome.adversarial, labels, batch_size)
            standing = standing & left
    watch.finish()
    return outcomes


def _announce(watch: Watch, components: list[Component], standing: int) -> None:
    """Say that the first of `components` begins, the others come after it."""
    now, *later = components
    ahead = standing * sum(component.work for component in later)
    watch.begin(f"{now.name}, {standing} stand", now.cost, standing * now.work, ahead)


def _run(
    component: Component,
    watch: Watch,
    images: Tensor,
    labels: Tensor,
    standing: Tensor,
    seeds: Tensor,
    epsilon: float,
    batch_size: int,
) -> AttackOutcome:
    started = time.perf_counter()
    adversarial, queries = images.clone(), torch.zeros_like(labels)
    places = standing.nonzero().flatten()
    # An empty tensor splits into one empty batch, which many models refuse.
    batches = places.split(batch_size) if epsilon > 0 and len(places) else ()
    own = fold(seeds, component.stream)
    for chosen in batches:
        attack = component.build(watch)
        found = attack.attack(images[chosen], labels[chosen], own[chosen])
        adversarial[chosen], queries[chosen] = found.detach().to(images.dtype), attack.passes
    _synchronise(images)
    return AttackOutcome(adversarial, standing, time.perf_counter() - started, queries)


def _synchronise(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
