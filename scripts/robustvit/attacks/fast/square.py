"""Square Attack for many examples at once; whoever is broken leaves at once.

Start, squares and the rule of acceptance are those of the reference engine, draw for draw, so the
two engines walk the same path. Where few examples stand, each asks its next few questions in one
batch, as if the first ones were refused, as most are; what comes after an accepted one is thrown
away and asked anew, so that the path does not depend on how many are asked at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustvit.attacks._apgd import margin
from robustvit.attacks._square import SeededSquare
from robustvit.attacks.fast.network import Network
from robustvit.attacks.fast.rows import Examples, Findings, Rows
from robustvit.attacks.support.random import fold

KEPT = 0.1  # weight of the latest questions in the share that is refused


@dataclass
class Walk(Rows):
    """R random walks: images [R, C, H, W], numbers [R].

    Attributes:
        clean: the image in the middle of the ball.
        label: of the image.
        seed: of the example.
        query: number of the next query.
        best: point of smallest margin.
        margin: there.
    """

    clean: Tensor
    label: Tensor
    seed: Tensor
    query: Tensor
    best: Tensor
    margin: Tensor


class Square:
    """The attack and its settings.

    Args:
        network: the model.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        queries: forward passes after the start.
        limit: most walks at a time.
    """

    def __init__(
        self, network: Network, *, epsilon: float, norm: str, queries: int, limit: int
    ) -> None:
        self.network, self.queries, self.limit = network, queries, limit
        self._moves = SeededSquare(network.logits, epsilon=epsilon, norm=norm, queries=queries)
        self._refused = 0.5  # share of the latest questions

    @torch.no_grad()
    def attack(self, found: Findings, examples: Examples) -> None:
        """Attack; what is found goes to `found`."""
        sides = [self._moves.side(query, examples.images) for query in range(self.queries)]
        sides = torch.tensor(sides, device=examples.images.device)
        everybody = torch.arange(len(examples.images), device=examples.images.device)
        for owner in everybody.split(self.limit):
            walk = self._start(owner, examples, found)
            while len(walk):
                self._walk(walk, sides, found)
                walk.select((walk.query < self.queries).nonzero().flatten())

    def _start(self, owner: Tensor, examples: Examples, found: Findings) -> Walk:
        images, label, seeds = (
            x[owner] for x in (examples.images, examples.labels, examples.seeds)
        )
        start = self._moves.start(images, seeds)
        broken, margins = self._ask(start, label)
        self.network.note(owner)
        walk = Walk(owner, images, label, seeds, torch.zeros_like(seeds), start, margins)
        found.take(walk, start, broken)
        return walk

    def _walk(self, walk: Walk, sides: Tensor, found: Findings) -> None:
        count = self.network.ahead(len(walk), self._refused)
        ahead = torch.arange(count, device=walk.query.device)
        queries = (walk.query[:, None] + ahead).clamp_(max=self.queries - 1)
        points = self._points(walk, queries, sides)
        broken, margins = self._ask(points, walk.label.repeat_interleave(count))
        better = margins.reshape(queries.shape) < walk.margin[:, None]
        taken, first = better.max(dim=1)  # the place of the first one that is accepted
        steps = torch.where(taken, first + 1, count).minimum(self.queries - walk.query)
        walk.query = walk.query + steps
        refused = 1.0 - float(taken.sum()) / float(steps.sum())
        self._refused += KEPT * (refused - self._refused)
        self.network.note(walk.owner, steps)
        rows = taken.nonzero().flatten()
        places = rows * count + first[rows]
        walk.best[rows] = points[places]
        walk.margin[rows] = margins[places]
        wrong = torch.zeros_like(taken)
        wrong[rows] = broken[places]
        found.take(walk, walk.best, wrong)

    def _points(self, walk: Walk, queries: Tensor, sides: Tensor) -> Tensor:
        """Return the points of queries [R, Q], [R · Q, C, H, W]."""
        count, channels = queries.shape[1], walk.clean.shape[1]
        queries = queries.flatten()
        draw = self._moves.draw(fold(walk.seed.repeat_interleave(count), queries), channels)
        clean, best = (each.repeat_interleave(count, dim=0) for each in (walk.clean, walk.best))
        side = sides[queries]
        kinds = side.unique().tolist()
        if len(kinds) == 1:
            return self._moves.propose(clean, best, draw, kinds[0])
        points = torch.empty_like(clean)
        for kind in kinds:
            of = (side == kind).nonzero().flatten()
            points[of] = self._moves.propose(clean[of], best[of], draw[of], kind)
        return points

    def _ask(self, points: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return who is misclassified, bool [R], and the margins, [R]."""
        logits = self.network.logits(points)
        return logits.argmax(dim=1) != label, margin(logits, label)
