"""Batches of the size that a device works well on."""

import pytest
import torch

from robustvit.models.speed import LARGEST, SMALLEST, Speed, fastest, measure


def linear(overhead: float, until: int = 10**9):
    """Seconds of a device that takes one second for an image and some more for a batch."""
    return lambda size: size + overhead if size <= until else None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (linear(0.0), 16),  # nothing is gained by more
        (linear(14.0), 256),  # from there on less than 5 percent
        (linear(14.0, until=50), 32),  # 64 does not fit
        (linear(1e6), LARGEST),
        (lambda size: None, SMALLEST),  # nothing fits: the job itself will say so
    ],
)
def test_a_batch_is_doubled_while_that_helps(seconds, expected):
    assert fastest(seconds).width == expected


def test_a_limit_is_kept():
    assert fastest(linear(1e6), largest=50).width == 32
    assert fastest(linear(1e6), largest=5) == Speed(5, 0.0)


def test_what_a_batch_takes_besides_is_told_from_two_sizes():
    speed = fastest(linear(14.0))
    assert speed.overhead == pytest.approx(14.0)
    assert speed.time(10) == pytest.approx(24.0)


def test_a_model_is_timed():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 4))
    speed = measure(model, (3, 4, 4), torch.device("cpu"), 64)
    assert speed.width in (16, 32, 64)
    assert 0.0 <= speed.overhead < float("inf")
