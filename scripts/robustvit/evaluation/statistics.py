"""Intervals and tests for proportions, exact and without SciPy (its import takes a second)."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054  # 97.5% quantile of the standard normal distribution


def wilson(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's interval (1927) for `k` successes out of `n`, as fractions; (0, 1) if n = 0.

    Raises:
        ValueError: unless 0 ≤ k ≤ n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, got k={k}, n={n}")
    if n == 0:
        return 0.0, 1.0
    share, scale = k / n, 1.0 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the interval reaches the measured share exactly; rounding may not spoil that.
    low = 0.0 if k == 0 else max(middle - half, 0.0)
    high = 1.0 if k == n else min(middle + half, 1.0)
    return low, high


def proportion(k: int, n: int) -> dict:
    """Describe `k` out of `n` as {"value", "low", "high", "k", "n"}: fractions and counts.

    Raises:
        ValueError: if n is not positive.
    """
    if n <= 0:
        raise ValueError("a proportion of nothing is not defined")
    low, high = wilson(k, n)
    return {"value": k / n, "low": low, "high": high, "k": int(k), "n": int(n)}


def binomial_p_value(k: int, n: int, chance: float) -> float:
    """Probability of `k` or more successes out of `n` if each has probability `chance`."""
    if k <= 0 or chance >= 1.0:
        return 1.0
    if chance <= 0.0:
        return 0.0
    logs = [_log_mass(i, n, chance) for i in range(k, n + 1)]
    largest = max(logs)
    return min(1.0, math.exp(largest) * math.fsum(math.exp(value - largest) for value in logs))


def _log_mass(k: int, n: int, chance: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(chance) + (n - k) * math.log1p(-chance)
