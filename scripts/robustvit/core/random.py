"""Random numbers that belong to an example, not to the batch, shard or device it is processed in.

A counter-based generator (the finaliser of SplitMix64, Steele et al. 2014, over `seed + i·γ`):
element i of an example's stream is a pure function of (seed, i). Only integer arithmetic and one
exact division are used, so every device gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GAMMA = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)
_FOLD = _signed(0xD1B54A32D192ED03)  # keeps derived seeds apart from the words of a stream


_CHUNK = 1 << 16  # words that are drawn at a time: their intermediate values fit into a cache


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift right without the sign: torch's `>>` on int64 copies the sign bit.

    On XLA it divides and rounds towards zero instead, so there the sign is taken apart first.
    """
    if value.device.type == "xla":
        sign = (value < 0).to(torch.int64) * (1 << (63 - bits))
        return ((value & ((1 << 63) - 1)) >> bits) + sign
    return (value >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix_(value: Tensor) -> Tensor:
    """Mix the bits of each word in place."""
    value.bitwise_xor_(_shift(value, 30)).mul_(_MIX_1)
    value.bitwise_xor_(_shift(value, 27)).mul_(_MIX_2)
    return value.bitwise_xor_(_shift(value, 31))


def fold(seeds: Tensor, purpose: int | Tensor) -> Tensor:
    """Derive an independent seed per example for `purpose` (a restart, a component attack, …).

    Args:
        seeds: int64 [B].
        purpose: any integer in (-2**63, 2**63), or one for each seed, int64 [B].
    """
    if isinstance(purpose, Tensor):
        return _mix_(_mix_(seeds ^ _FOLD).add_(purpose * _FOLD))
    return _mix_(_mix_(seeds ^ _FOLD).add_(_signed(purpose * _FOLD % (1 << 64))))


def random_bits(seeds: Tensor, count: int, start: int = 0) -> Tensor:
    """Draw `count` 64-bit words per example, int64 [B, count], from word `start` of its stream."""
    counter = torch.arange(start + 1, start + count + 1, dtype=torch.int64, device=seeds.device)
    return _mix_(_mix_(seeds.clone())[:, None] + counter.mul_(_GAMMA)[None, :])


def uniform(
    seeds: Tensor, shape: Sequence[int], device: torch.device | str | None = None
) -> Tensor:
    """Draw from the uniform distribution on [0, 1).

    Args:
        seeds: int64 [B], one stream per example.
        shape: shape of one example's draw.
        device: where to draw; by default where `seeds` are.

    Returns:
        float32 [B, *shape], multiples of 2**-24.
    """
    seeds, count = seeds.to(device or seeds.device), math.prod(shape)
    examples = max(_CHUNK // max(count, 1), 1)
    if seeds.device.type != "cpu" or examples >= len(seeds):
        return _unit_interval(seeds, count).reshape(-1, *shape)
    parts = [_unit_interval(part, count) for part in seeds.split(examples)]
    return torch.cat(parts).reshape(-1, *shape)


def _unit_interval(seeds: Tensor, count: int) -> Tensor:
    """The first `count` words of each stream as numbers in [0, 1), float32 [B, count]."""
    return _shift(random_bits(seeds, count), 40).to(torch.float32).mul_(2.0**-24)


def normal(seeds: Tensor, shape: Sequence[int], device: torch.device | str | None = None) -> Tensor:
    """Draw from the standard normal distribution (Box–Muller), float32 [B, *shape].

    The logarithm and cosine are taken in float64 and rounded, so that devices whose last bits
    differ still give the same float32 values.
    """
    bits = random_bits(seeds.to(device or seeds.device), math.prod(shape))
    radius = (_shift(bits, 32).to(torch.float64) + 1.0) * 2.0**-32
    angle = (bits & 0xFFFFFFFF).to(torch.float64) * (2.0**-32 * 2.0 * math.pi)
    value = torch.sqrt(-2.0 * torch.log(radius)) * torch.cos(angle)
    return value.to(torch.float32).reshape(-1, *shape)
