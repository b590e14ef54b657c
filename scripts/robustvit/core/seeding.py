"""Randomness as a function of what is drawn for, never of when or in which batch it is drawn."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """Hash `parts` to a seed in [0, 2**63).

    The parts name what the randomness is for, for instance
    `derive_seed(experiment_seed, epoch, example_id, "augment")`, so that the value does not depend
    on batch size, worker count, shard or device.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
