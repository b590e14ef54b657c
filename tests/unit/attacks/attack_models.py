"""Small models whose behaviour under attack is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """Logits z = W x + b on flattened pixels: its worst case in a ball is known exactly."""

    def __init__(self, num_classes: int = 2, side: int = 6, scale: float = 1.0, seed: int = 0):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        weight = scale * torch.randn(num_classes, 3 * side * side, generator=random)
        self.weight = nn.Parameter(weight)
        # Images in the middle of [0, 1] lie near the decision boundary.
        self.bias = nn.Parameter(-0.5 * weight.sum(dim=1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K]."""
        return images.flatten(1) @ self.weight.T + self.bias


def middle_images(count: int, side: int = 6, seed: int = 0, spread: float = 0.1) -> Tensor:
    """Images so far from 0 and 1 that small balls never touch them, contiguous."""
    random = torch.Generator().manual_seed(seed)
    return 0.5 + spread * (torch.rand(count, 3, side, side, generator=random) - 0.5)


def convolutional(num_classes: int = 4, side: int = 8, seed: int = 0) -> nn.Module:
    """A small network with BatchNorm and dropout, in training mode, statistics not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2),
            nn.Flatten(), nn.Linear(8 * side * side, num_classes),
        )  # fmt: skip
        model(torch.rand(16, 3, side, side))
    return model
