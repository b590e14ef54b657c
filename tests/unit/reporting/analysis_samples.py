"""Results of analyses that figures and tables show: losses under attack, watched trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robustvit.analysis.attack_losses import summarise
from robustvit.core.files import write_json, write_text

EPOCHS, STEPS = [2, 4, 6], [1, 2, 5, 20]
MODELS = {"watched_sound": "Light recipe", "watched_broken": "Canonical recipe"}
SPECS = [
    {
        "name": "effectiveness",
        "kind": "attack_effectiveness",
        "options": {
            "folder": "losses/demo",
            "models": [{"experiment": n, "label": label} for n, label in MODELS.items()],
            "epochs": EPOCHS,
            "steps": STEPS,
        },
    },
    {
        "name": "convergence",
        "kind": "attack_convergence",
        "options": {
            "folder": "losses/demo",
            "models": [{"experiment": n, "label": label} for n, label in MODELS.items()],
            "epochs": None,
            "steps": STEPS,
        },
    },
    {
        "name": "radius",
        "kind": "accuracy_by_radius",
        "options": {
            "rows": [
                {"experiment": "demo_light", "epsilon_255": 4, "evaluate": ["clean"]},
                {"experiment": "demo_canonical", "epsilon_255": 4, "evaluate": ["autoattack"]},
                {"experiment": "demo_cifar", "epsilon_255": 8, "evaluate": ["autoattack"]},
                {"experiment": "not_run", "epsilon_255": 16, "evaluate": ["autoattack"]},
            ],
            "protocols": [
                {"protocol": "clean", "metric": "clean_top1", "label": "clean"},
                {"protocol": "autoattack", "metric": "robust_top1", "label": "AutoAttack"},
            ],
        },
    },
    {
        "name": "overfitting",
        "kind": "overfitting",
        "options": {
            "rows": [
                {"experiment": name, "label": label, "attacks": ["PGD-1", "PGD-10"]}
                for name, label in MODELS.items()
            ]
        },
    },
]


def write_analyses(root: Path) -> None:
    """Write a sound training and one that breaks down after its fourth epoch."""
    random = np.random.default_rng(0)
    for name in MODELS:
        broken = name == "watched_broken"
        for epoch in (*EPOCHS, "final"):
            collapsed = broken and epoch in (6, "final")
            found = {
                run: {s: _losses(random, s, 0.9 if collapsed else 0.1) for s in STEPS}
                for run in range(3)
            }
            record = {"num_examples": 400, "seeds": 3, "steps": summarise(found)}
            write_json(root / f"losses/demo/{name}/{epoch}.json", record)
        lines = ["epoch,eval_clean_top1,watch_weak_top1,watch_strong_top1,watch_examples"]
        for epoch in range(8):
            weak, strong = 0.3 + 0.05 * epoch, 0.25 + 0.04 * epoch
            strong = 0.05 if broken and epoch > 4 else strong
            lines.append(f"{epoch},0.7,{weak:.3f},{strong:.3f},1000")
        write_text(root / f"train/{name}/metrics.csv", "\n".join(lines) + "\n")


def _losses(random: np.random.Generator, steps: int, gap: float) -> tuple:
    strength = 1 - gap * (1 - np.log(steps) / np.log(max(STEPS)))
    losses = (2 * strength + 0.05 * random.random(400)).astype(np.float32)
    return losses, random.random(400) > 0.6 * strength
