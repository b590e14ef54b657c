"""Searches that run side by side, each of them for one example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from robustvit.attacks.support.random import fold


@dataclass
class Rows:
    """State of R searches; subclasses add tensors with one entry per search.

    Several searches of one example, towards different targets, may run at the same time.

    Attributes:
        owner: int64 [R], place of the search's example.
    """

    owner: Tensor

    def __len__(self) -> int:
        return len(self.owner)

    def select(self, places: Tensor) -> None:
        """Keep the searches at `places` and drop the others."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[places])


@dataclass(frozen=True)
class Examples:
    """N examples to be attacked.

    Attributes:
        images: float32 [N, C, H, W] in [0, 1], classified correctly.
        labels: int64 [N].
        targets: int64 [N, K − 1], the other classes, likeliest first.
        seeds: int64 [N], one random stream per example.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor
    seeds: Tensor

    def at(self, places: Tensor, stream: int) -> Examples:
        """Return the examples at `places`, with the random stream of an attack."""
        seeds = fold(self.seeds[places], stream)
        return Examples(self.images[places], self.labels[places], self.targets[places], seeds)


class Findings:
    """Adversarial images found so far.

    Args:
        images: clean images [N, C, H, W].
        labels: int64 [N].
        classify: the model itself, which has the last word; images [B, C, H, W] and their
            examples [B] to logits [B, K].
    """

    def __init__(
        self, images: Tensor, labels: Tensor, classify: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self.images, self._labels, self._classify = images.clone(), labels, classify
        self.standing = torch.ones(len(images), dtype=torch.bool, device=images.device)

    def take(self, rows: Rows, points: Tensor, broken: Tensor) -> Tensor:
        """Record the `points` of `broken` rows [R] and drop all rows of their examples.

        If several rows break an example at once, the first one counts: rows are in the order of
        their targets. A point that the model itself still classifies correctly does not count.

        Returns:
            Places of the rows that are left, int64.
        """
        places = broken.nonzero().flatten()
        if len(places):
            owner = rows.owner[places]
            logits = self._classify(points[places], owner)
            places = places[logits.argmax(dim=1) != self._labels[owner]]
        if not len(places):
            return torch.arange(len(rows), device=broken.device)
        places = self._first(rows, places)
        self.images[rows.owner[places]] = points[places]
        self.standing[rows.owner[places]] = False
        left = self.standing[rows.owner].nonzero().flatten()
        rows.select(left)
        return left

    def _first(self, rows: Rows, places: Tensor) -> Tensor:
        """Return one place for each owner, the smallest."""
        count = len(rows)
        first = torch.full_like(self.standing, count, dtype=torch.int64)
        first.scatter_reduce_(0, rows.owner[places], places, "amin")
        return first[first < count]


def rounds(standing: Tensor, count: int, limit: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the searches that are to run: the first target or restart, then the others together.

    Most of what breaks is broken by the first; the others side by side fill the batches. The
    order of an example's searches does not depend on how many examples there are.

    Args:
        standing: bool [N], which examples are to be attacked; read again before every round.
        count: number of targets or restarts.
        limit: most searches at a time, where an example's searches allow it.

    Yields:
        The searches' examples and their numbers in [0, count), int64 [R] each, R at least 1.
    """
    for numbers in (range(1), range(1, count)):
        places = standing.nonzero().flatten()
        if len(numbers) == 0 or len(places) == 0:
            return
        order = torch.tensor(numbers, device=places.device)
        for group in places.split(max(1, limit // len(order))):
            yield group.repeat_interleave(len(order)), order.repeat(len(group))
