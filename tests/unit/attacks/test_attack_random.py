"""The per-example generator: distribution, independence, and no dependence on the batch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustvit.core.random import fold, normal, random_bits, uniform

SEEDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6)


@given(SEEDS, st.integers(0, 5))
def test_an_examples_numbers_do_not_depend_on_its_batch(seeds: list[int], cut: int) -> None:
    every = torch.tensor(seeds)
    cut = min(cut, len(seeds))
    for draw in (uniform, normal):
        parts = [draw(part, (3, 4)) for part in (every[:cut], every[cut:])]
        assert torch.equal(draw(every, (3, 4)), torch.cat(parts))


@given(SEEDS, st.integers(1, 40), st.integers(0, 40))
def test_a_stream_can_be_entered_anywhere(seeds: list[int], count: int, start: int) -> None:
    every = torch.tensor(seeds)
    whole = random_bits(every, start + count)
    assert torch.equal(random_bits(every, count, start), whole[:, start:])


def test_uniform_is_uniform_and_uncorrelated() -> None:
    draw = uniform(torch.arange(400), (1000,)).numpy()
    assert draw.min() >= 0
    assert draw.max() < 1
    counts = np.histogram(draw, bins=20, range=(0, 1))[0]
    assert abs(counts / draw.size - 0.05).max() < 0.002
    between = np.corrcoef(draw[:50])[np.triu_indices(50, 1)]
    assert abs(between).max() < 0.17
    assert abs(np.corrcoef(draw[:, :-1].ravel(), draw[:, 1:].ravel())[0, 1]) < 0.01


def test_normal_has_the_right_moments() -> None:
    draw = normal(torch.arange(300), (1000,)).double()
    assert abs(draw.mean()) < 0.01
    assert abs(draw.std() - 1) < 0.01
    assert abs((draw**4).mean() - 3) < 0.1


def test_fold_gives_streams_of_their_own() -> None:
    seeds = torch.arange(1000)
    derived = torch.cat([fold(seeds, purpose) for purpose in range(-2, 20)])
    assert len(derived.unique()) == len(derived)
    words = random_bits(seeds, 50).flatten()
    assert not set(derived.tolist()) & set(words.tolist())


def splitmix(value: int) -> int:
    """The finaliser of SplitMix64 in Python's integers."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@given(st.integers(0, 2**63 - 1))
def test_the_numbers_are_those_of_the_algorithm(seed: int) -> None:
    """Old results have to stay reproducible: the generator may never change."""
    words = [splitmix(splitmix(seed) + i * 0x9E3779B97F4A7C15 & 2**64 - 1) for i in (1, 2, 3)]
    expected = [(word >> 40) / 2**24 for word in words]
    assert uniform(torch.tensor([seed]), (3,)).tolist()[0] == expected


def test_known_values() -> None:
    assert uniform(torch.tensor([42]), (2,)).tolist()[0] == [
        0.5961188673973083,
        0.16036534309387207,
    ]
    assert fold(torch.tensor([42]), 7).item() == -3246096032992204368
