"""The fast engine: attacks that drop an example as soon as it is broken.

It differs from the reference engine in how it computes, not in what it tries: the same attacks
with the same starts, targets, steps and queries. An example leaves in the iteration in which it
is broken; targets after the first run side by side; one pass gives loss, gradient and prediction;
FAB-T does not sort, and stops inside the ball; the model is folded and laid out for speed, and
what breaks that copy counts only if it breaks the model itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.preparing import quicker
from robustvit.attacks.fast.progress import Meter, Plan
from robustvit.attacks.fast.rows import Examples, Findings
from robustvit.attacks.support.frozen import attack_mode
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report
from robustvit.models.speed import measure
from robustvit.models.stable import StableRows


class Attack(Protocol):
    """An attack, ready to run."""

    def attack(self, found: Findings, examples: Examples) -> None:
        """Attack; what is found goes to `found`."""


@dataclass(frozen=True)
class Part:
    """An attack of an ensemble.

    Attributes:
        plan: its name and cost.
        stream: number of its random stream; it never changes, whatever else runs.
        build: makes it around a network.
    """

    plan: Plan
    stream: int
    build: Callable[[Network], Attack]


def run_parts(
    parts: list[Part],
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
    """Run `parts` in order; an example that one of them breaks is not attacked again.

    Args:
        images: float32 [N, C, H, W] in [0, 1].
        labels: int64 [N].
        epsilon: radius in pixel units; 0 leaves every image as it is.
        seeds: int64 [N].
        batch_size: images that go through the model at a time, at most.
        report: gets the finished fraction of the work that is left if nobody else is broken.
        checkpoint: keeps the outcomes of finished attacks for a job that starts again.

    Returns:
        One outcome per part, in order.
    """
    meter, outcomes = Meter([part.plan for part in parts], report), {}
    shape, device = tuple(images.shape[1:]), images.device
    exact = model if isinstance(model, StableRows) else StableRows(model, shape)
    with quicker(exact.inner, shape, device, images) as copy, attack_mode(exact, "eval"):
        search = exact if copy is exact.inner else StableRows(copy, shape)
        if search is not exact and not search.tried(images) and exact.tried(images):
            search = exact
        speed = measure(search, shape, device, batch_size)
        network = Network(search, exact, speed=speed, watch=meter.tick)
        clean = network.classify(images)
        standing = clean.argmax(dim=1) == labels
        examples = Examples(images.detach(), labels, _other_classes(clean, labels), seeds)
        for place, part in enumerate(parts):
            outcome = checkpoint.load(part.plan.name) if checkpoint else None
            if outcome is None:
                outcome = _run(place, part, network, meter, examples, standing, epsilon)
                if checkpoint:
                    checkpoint.save(part.plan.name, outcome)
            outcomes[part.plan.name] = outcome
            standing = standing & (network.classify(outcome.adversarial).argmax(dim=1) == labels)
            meter.finish(place, int(standing.sum()))
    return outcomes


def _other_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """The classes other than the label, likeliest first, int64 [N, K − 1]."""
    # Ascending, then turned round: ties come in the order in which pyautoattack has them.
    order = logits.sort(dim=1).indices.flip(1)
    return order[order != labels[:, None]].reshape(len(labels), -1)


def _run(
    place: int,
    part: Part,
    network: Network,
    meter: Meter,
    examples: Examples,
    standing: Tensor,
    epsilon: float,
) -> AttackOutcome:
    started = time.perf_counter()
    adversarial, queries = examples.images.clone(), torch.zeros_like(examples.labels)
    places = standing.nonzero().flatten()
    if len(places) and epsilon > 0:
        chosen = examples.at(places, part.stream)
        found = Findings(chosen.images, chosen.labels, network.classify)
        network.count(chosen.labels)
        meter.begin(place, found, network)
        part.build(network).attack(found, chosen)
        adversarial[places], queries[places] = found.images, network.passes
    if adversarial.is_cuda:
        torch.cuda.synchronize(adversarial.device)
    return AttackOutcome(adversarial, standing, time.perf_counter() - started, queries)
