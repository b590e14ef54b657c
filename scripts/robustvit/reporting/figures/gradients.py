"""Images grown from noise by following a model's gradient to target classes (Figures 12 and 14).

options: {"models": [{"experiment", "label"}], "folder": "gradients", "targets": [names] or null}.
Reads <folder>/<experiment>.npz.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.core.errors import UserError, unknown_name
from robustvit.reporting import style
from robustvit.reporting.class_names import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEYS = ("start", "results", "targets", "target_names", "probability")


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    folder = options.get("folder") or "gradients"
    return [f"{folder}/{model['experiment']}.npz" for model in options["models"]]


def read(options: dict, root: Path) -> dict:
    """Read the accumulated images of all models and choose the targets.

    Raises:
        UserError: if the models were driven to different targets, or a chosen one is unknown.
    """
    models = []
    for file in files(options):
        with np.load(root / file, allow_pickle=False) as stored:
            models.append({key: stored[key] for key in KEYS})
        if list(models[-1]["target_names"]) != list(models[0]["target_names"]):
            raise UserError(f"{root / file}: its targets are not those of the other models.")
    names = [str(name) for name in models[0]["target_names"]]
    for name in options.get("targets") or []:
        if name not in names:
            raise unknown_name("target class", name, names, "options.targets")
    return {"models": models, "chosen": [names.index(n) for n in options.get("targets") or names]}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw the start and one accumulated image per target, one row per model."""
    models, chosen = inputs["models"], inputs["chosen"]
    labels = [m.get("label") or m["experiment"] for m in spec["options"]["models"]]
    figure, grid = style.picture_grid(labels, 1 + len(chosen))
    for row, model in zip(grid, models, strict=True):
        style.show_image(row[0], model["start"].transpose(1, 2, 0))
        for axes, target in zip(row[1:], chosen, strict=True):
            style.show_image(axes, model["results"][target].transpose(1, 2, 0))
            text = f"p = {float(model['probability'][target]):.2f}"
            axes.set_xlabel(text, fontsize=8, labelpad=2)
    names = [readable(str(models[0]["target_names"][target])) for target in chosen]
    for axes, name in zip(grid[0], ["start", *names], strict=True):
        axes.set_title(style.shorten(name, style.characters(axes)), fontsize=8.5, pad=3)
    return figure


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the probability that each model gives its own image."""
    chosen = inputs["chosen"]
    shown = [
        {
            "experiment": setting["experiment"],
            "target": readable(str(model["target_names"][target])),
            "probability": round(float(model["probability"][target]), 6),
        }
        for setting, model in zip(spec["options"]["models"], inputs["models"], strict=True)
        for target in chosen
    ]
    names = [readable(str(inputs["models"][0]["target_names"][target])) for target in chosen]
    labels = [m.get("label") or m["experiment"] for m in spec["options"]["models"]]
    alt = (
        f"For each of {', '.join(labels)}: the noise that the accumulation starts from and the "
        f"images it becomes for the target classes {', '.join(names)}."
    )
    return {"alt": alt, "data": shown}
