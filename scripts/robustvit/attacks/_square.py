"""Square Attack (Andriushchenko et al. 2020) with draws that belong to the example.

pyautoattack draws one square per query for the whole batch, so that an example's fate hangs on
its batch. Here each example has its own, as in the paper's algorithm; schedule, sizes, patterns
and acceptance rule are those of pyautoattack.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from pyautoattack.square import SquareAttack
from torch import Tensor

from robustvit.attacks._apgd import LIBRARY_NORMS, margin
from robustvit.attacks.pgd import Ball
from robustvit.attacks.support.random import fold, uniform


class SeededSquare:
    """Random search with at most `queries` forward passes per example.

    Args:
        predict: maps pixels to logits.
        epsilon: radius in pixel units of [0, 1].
        norm: "linf" or "l2".
        queries: forward passes after the start.
    """

    def __init__(
        self, predict: Callable[[Tensor], Tensor], *, epsilon: float, norm: str, queries: int = 5000
    ) -> None:
        self.predict, self.epsilon, self.norm, self.queries = predict, epsilon, norm, queries
        self._library = SquareAttack(
            predict, norm=LIBRARY_NORMS[norm], n_queries=queries, eps=epsilon, p_init=0.8,
            seed=0, resc_schedule=False, device="cpu",
        )  # fmt: skip

    @torch.no_grad()
    def attack(self, images: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
        """Return the point of smallest margin found for each image [B, 3, H, W].

        How many passes an example took is in `passes`, int64 [B], afterwards.
        """
        best, self.passes = self.start(images, seeds), torch.ones_like(labels)
        smallest = margin(self.predict(best), labels)
        for query in range(self.queries):
            chosen = (smallest > 0).nonzero().flatten()
            if chosen.numel() == 0:
                break
            draw = self.draw(fold(seeds[chosen], query), images.shape[1])
            candidate = self.propose(images[chosen], best[chosen], draw, self.side(query, images))
            found = margin(self.predict(candidate), labels[chosen])
            self.passes[chosen] += 1
            better = (found < smallest[chosen]) | (found <= 0)
            best[chosen[better]] = candidate[better]
            smallest[chosen[better]] = found[better]
        return best

    def start(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Return the first points [B, C, H, W]; seeds int64 [B]."""
        own = fold(seeds, -1)
        return self._start_linf(images, own) if self.norm == "linf" else self._start_l2(images, own)

    def draw(self, seeds: Tensor, channels: int) -> Tensor:
        """Return what one query of each example draws, float32 [B, D]; seeds are the query's."""
        return uniform(seeds, ((2 if self.norm == "linf" else 5) + channels,))

    def propose(self, images: Tensor, best: Tensor, draw: Tensor, side: int) -> Tensor:
        """Return the points to be queried next, [B, C, H, W], with squares of `side` pixels."""
        step = self._step_linf if self.norm == "linf" else self._step_l2
        return step(images, best, draw, side)

    def side(self, query: int, images: Tensor) -> int:
        """Side of the squares of a query in pixels."""
        height, width = images.shape[-2:]
        side = round(math.sqrt(self._library.p_selection(query) * height * width))
        if self.norm == "linf":
            return min(max(side, 1), height, width)
        return min(max(side, 3) | 1, height, width)

    def _start_linf(self, images: Tensor, seeds: Tensor) -> Tensor:
        stripes = _signs(uniform(seeds, (images.shape[1], 1, images.shape[3])))
        return (images + self.epsilon * stripes).clamp(0.0, 1.0)

    def _step_linf(self, images: Tensor, best: Tensor, draw: Tensor, side: int) -> Tensor:
        window = _window(draw[:, :2], side, images)
        change = 2.0 * self.epsilon * _signs(draw[:, 2:])[:, :, None, None]
        return Ball(images, self.epsilon, "linf").project(best + window * change)

    def _start_l2(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Tile the image with 5 × 5 patterns of random sign and orientation."""
        _, channels, height, width = images.shape
        side = height // 5
        first, delta = (height - side * 5) // 2, torch.zeros_like(images)
        tops = range(first, height - side + 1, side)
        lefts = range(first, width - side + 1, side)
        draw = uniform(seeds, (len(tops), len(lefts), 1 + channels))
        for row, top in enumerate(tops):
            for column, left in enumerate(lefts):
                tile = self._patterns(side, draw[:, row, column])
                delta[:, :, top : top + side, left : left + side] += tile
        return (images + self.epsilon * delta / _norm(delta, (1, 2, 3))).clamp(0.0, 1.0)

    def _step_l2(self, images: Tensor, best: Tensor, draw: Tensor, side: int) -> Tensor:
        """Move the perturbation's energy from a second window into a pattern in the first."""
        channels, delta = images.shape[1], best - images
        first = _window(draw[:, :2], side, images)
        second = _window(draw[:, 2:4], side, images)
        place = _places(draw[:, :2], side, images)
        unused = (self.epsilon**2 - _norm(delta, (1, 2, 3)) ** 2).clamp(min=0.0)
        energy = (
            unused / channels + _norm(delta * torch.maximum(first, second), (2, 3)) ** 2
        ).sqrt()
        old = delta[place]
        new = self._patterns(side, draw[:, 4:]) + old / _norm(old, (2, 3))
        delta = delta * (1.0 - second)
        delta[place] = new / _norm(new, (2, 3)) * energy
        return (images + self.epsilon * delta / _norm(delta, (1, 2, 3))).clamp(0.0, 1.0)

    def _patterns(self, side: int, draw: Tensor) -> Tensor:
        """Patterns of unit norm [B, C, side, side]; draw [B, 1 + C] turns and signs them."""
        pattern = _pattern(side).to(draw.device)
        turned = torch.where(draw[:, 0, None, None] > 0.5, pattern.T, pattern)
        return turned[:, None] * _signs(draw[:, 1:])[:, :, None, None]


def _signs(draw: Tensor) -> Tensor:
    return torch.where(draw < 0.5, -1.0, 1.0)


def _corner(draw: Tensor, side: int, images: Tensor) -> Tensor:
    """Upper left corners [B, 2]; the last possible row and column are left out, as upstream."""
    room = torch.tensor(images.shape[-2:], device=draw.device) - side
    return (draw * room).long()


def _window(draw: Tensor, side: int, images: Tensor) -> Tensor:
    """Masks [B, 1, H, W] that are 1 inside a square of `side` pixels."""
    top, left = _corner(draw, side, images)[:, :, None].unbind(dim=1)
    rows = torch.arange(images.shape[2], device=draw.device)
    columns = torch.arange(images.shape[3], device=draw.device)
    inside_rows = (rows >= top) & (rows < top + side)
    inside_columns = (columns >= left) & (columns < left + side)
    return (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(images.dtype)


def _places(draw: Tensor, side: int, images: Tensor) -> tuple[Tensor, ...]:
    """Index of the squares' pixels: `images[places]` is [B, C, side, side]."""
    corner = _corner(draw, side, images)
    steps = torch.arange(side, device=draw.device)
    batch = torch.arange(len(images), device=draw.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=draw.device)[None, :, None, None]
    rows = (corner[:, 0, None] + steps)[:, None, :, None]
    columns = (corner[:, 1, None] + steps)[:, None, None, :]
    return batch, channel, rows, columns


def _norm(delta: Tensor, dims: tuple[int, ...]) -> Tensor:
    return delta.square().sum(dim=dims, keepdim=True).sqrt() + 1e-12


@lru_cache(maxsize=64)
def _pattern(side: int) -> Tensor:
    """The library's pattern of two opposed pyramids, [side, side], of unit norm."""
    library = SquareAttack(None, norm="L2", device="cpu")
    half = side // 2
    pattern = torch.zeros(side, side)
    pattern[:half] = library.eta_rectangles(half, side)
    pattern[half:] = -library.eta_rectangles(side - half, side)
    return pattern / pattern.square().sum().sqrt()
