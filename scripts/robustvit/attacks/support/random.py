"""The random numbers of attacks; see `robustvit.core.random`."""

from __future__ import annotations

from robustvit.core.random import fold, normal, random_bits, uniform

__all__ = ["fold", "normal", "random_bits", "uniform"]
