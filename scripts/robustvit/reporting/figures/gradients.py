"""Images grown from noise by following a model's gradient to target classes (Figures 12 and 14).

options: {"models": [{"experiment", "label"}], "folder": "gradients", "targets": [names] or null,
"wrap": pictures of a row (null for all)}.
Reads <folder>/<experiment>.npz.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.core.errors import UserError, unknown_name
from robustvit.reporting import style
from robustvit.reporting.class_names import place_of, readable
from robustvit.reporting.options import name_list, one_name, whole_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEYS = ("start", "results", "targets", "target_names", "probability")
# What the configuration may say.
OPTIONS = {
    "gradients": one_name("accumulated", required=True),
    "targets": name_list("pot", "drum", null=True),
    "wrap": whole_number(8),
}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    folder = options.get("folder") or "gradients"
    return [f"{folder}/{model['experiment']}.npz" for model in options["models"]]


def check(config: dict, options: dict) -> None:
    """Refuse targets towards which the analysis grows no images.

    Raises:
        UserError: starting with the option's name.
    """
    grown = config["gradients"][options["gradients"]]["targets"]
    for name in options.get("targets") or []:
        if place_of(name, grown) is None:
            raise unknown_name("target class", name, grown, "targets")


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
    chosen = []
    for name in options.get("targets") or names:
        chosen.append(place_of(name, names))
        if chosen[-1] is None:
            raise unknown_name("target class", name, names, "options.targets")
    return {"models": models, "chosen": chosen}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw the start and one accumulated image per target, one row per model."""
    models, chosen = inputs["models"], inputs["chosen"]
    labels = [m.get("label") or m["experiment"] for m in spec["options"]["models"]]
    wrap = min(spec["options"].get("wrap") or 1 + len(chosen), 1 + len(chosen))
    blocks = -(-(1 + len(chosen)) // wrap)
    figure, grid = style.picture_grid(labels, wrap, blocks=blocks)
    for number, model in enumerate(models):
        for place, target in enumerate([None, *chosen]):
            top = place // wrap * len(models)
            axes = grid[top + number][place % wrap]
            image = model["start"] if target is None else model["results"][target]
            style.show_image(axes, image.transpose(1, 2, 0))
            if number == 0:
                name = "start" if target is None else readable(str(model["target_names"][target]))
                axes.set_title(style.shorten(name, style.characters(axes)), fontsize=8.5, pad=3)
            if target is not None:
                text = f"p = {float(model['probability'][target]):.2f}"
                axes.set_xlabel(text, fontsize=8, labelpad=2)
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
