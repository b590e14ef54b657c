"""APGD on the cross-entropy with restarts: AutoAttack's first attack on its own (spec A1.8)."""

from __future__ import annotations

from torch import Tensor, nn

from robustvit.attacks._apgd import SeededAPGD
from robustvit.attacks._ensemble import Component, run_ensemble
from robustvit.attacks.fast import standard
from robustvit.attacks.fast.ensemble import run_parts
from robustvit.attacks.support.engines import REFERENCE, is_fast
from robustvit.attacks.support.options import merged
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report

DEFAULTS = {"restarts": 5, "iterations": 100, "engine": REFERENCE}


def run(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: str,
    seeds: Tensor,
    num_classes: int,
    options: dict,
    batch_size: int,
    report: Report,
    checkpoint: Checkpoint | None = None,
) -> dict[str, AttackOutcome]:
    """Evaluate with APGD-CE; a restart attacks what the earlier ones left standing.

    Args:
        options: {"restarts": 5, "iterations": 100}, pyautoattack's "custom" defaults, and
            {"engine": "reference"} or "fast", see `robustvit.attacks.autoattack`.

    Raises:
        UserError: for an unknown engine.
    """
    settings = merged(options, DEFAULTS)
    name, steps = f"apgd-ce-{settings['restarts']}", settings["iterations"] + 1
    common = {"epsilon": epsilon, "seeds": seeds, "batch_size": batch_size}
    common |= {"report": report, "checkpoint": checkpoint}
    if is_fast(settings.pop("engine")):
        limit = standard.search_limit(images, batch_size)
        parts = [standard.apgd_ce(name, epsilon, norm, settings, limit)]
        return run_parts(parts, model, images, labels, **common)

    def build(predict: object) -> SeededAPGD:
        return SeededAPGD(predict, epsilon=epsilon, norm=norm, **settings)

    component = Component(name, 0, build, settings["restarts"] * steps, cost=3.0)
    return run_ensemble([component], model, images, labels, **common)
