"""APGD on the cross-entropy with restarts: AutoAttack's first attack on its own (spec A1.8)."""

from __future__ import annotations

from torch import Tensor, nn

from robustvit.attacks._apgd import SeededAPGD
from robustvit.attacks._ensemble import Component, run_ensemble
from robustvit.attacks.support.outcome import AttackOutcome, Checkpoint, Report

DEFAULTS = {"restarts": 5, "iterations": 100}


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
        options: {"restarts": 5, "iterations": 100}, pyautoattack's "custom" defaults.
    """
    settings = {**DEFAULTS, **options}

    def build(predict: object) -> SeededAPGD:
        return SeededAPGD(predict, epsilon=epsilon, norm=norm, **settings)

    calls = settings["restarts"] * (settings["iterations"] + 1)
    component = Component(f"apgd-ce-{settings['restarts']}", 0, build, calls, cost=3.0)
    return run_ensemble(
        [component], model, images, labels, epsilon=epsilon, seeds=seeds, batch_size=batch_size,
        report=report, checkpoint=checkpoint,
    )  # fmt: skip
