"""Images, and beneath them what each model's attack changes (thesis, Figures 1, 11 and 13).

options: {"semantics": name, "generators": [{"experiment", "label"}], "columns": 8 (at most),
"classes": [names] or null}. Reads semantics/<semantics>/<experiment>/examples.npz.
A perturbation is drawn as (δ + ε) / 2ε: grey is no change, white and black are ±ε.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.class_names import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = ("images", "perturbation", "labels", "label_names", "prediction", "adversarial_prediction")


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    folder = f"semantics/{options['semantics']}"
    return [f"{folder}/{g['experiment']}/examples.npz" for g in options["generators"]]


def read(options: dict, root: Path) -> dict:
    """Read the examples of all generators and choose the columns.

    Returns:
        {"examples": [one dict of arrays per generator], "chosen": indices [columns]}.

    Raises:
        UserError: if the generators attacked different images.
    """
    examples = []
    for file in files(options):
        with np.load(root / file, allow_pickle=False) as stored:
            examples.append({key: stored[key] for key in (*KEYS, "class_names")})
        if not np.array_equal(examples[-1]["labels"], examples[0]["labels"]):
            first = root / files(options)[0]
            raise UserError(f"{root / file}: its images are not those of {first}.")
    return {"examples": examples, "chosen": _choose(examples[0], options)}


def _choose(example: dict, options: dict) -> np.ndarray:
    """Take classes in turn, so that few columns still show many classes."""
    labels, wanted = example["labels"], options.get("classes")
    names = [str(name) for name in example["label_names"]]
    rank = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    order = np.lexsort((labels, rank))
    if wanted:
        order = np.array([i for i in order if names[i] in wanted], dtype=int)
    if len(order) == 0:
        raise UserError(
            f"options.classes: none of {wanted} is shown; known: {', '.join(sorted(set(names)))}."
        )
    return order[: int(options.get("columns") or 8)]


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw one row of images and one row of perturbations per generator."""
    examples, chosen = inputs["examples"], inputs["chosen"]
    labels = [g.get("label") or g["experiment"] for g in spec["options"]["generators"]]
    figure, grid = style.picture_grid(["image", *labels], len(chosen))
    for column, index in enumerate(chosen):
        axes = grid[0][column]
        style.show_image(axes, examples[0]["images"][index].transpose(1, 2, 0))
        name = style.shorten(
            readable(str(examples[0]["label_names"][index])), style.characters(axes)
        )
        axes.set_title(name, fontsize=8.5, pad=3)
        for row, example in zip(grid[1:], examples, strict=True):
            style.show_image(row[column], example["perturbation"][index])
            _note_prediction(row[column], example, index)
    return figure


def _note_prediction(axes: Axes, example: dict, index: int) -> None:
    """Say under a perturbation what the attacked model now sees; a word, not only a colour."""
    after = int(example["adversarial_prediction"][index])
    kept = after == int(example["labels"][index])
    name = style.shorten(readable(str(example["class_names"][after])), style.characters(axes) - 2)
    text, color = ("correct", style.GREEN) if kept else (f"→ {name}", style.VERMILION)
    axes.set_xlabel(text, fontsize=8, color=color, labelpad=2)


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the predictions that the figure shows."""
    chosen, shown = inputs["chosen"], []
    for generator, example in zip(spec["options"]["generators"], inputs["examples"], strict=True):
        names = example["class_names"]
        for index in chosen:
            shown.append(
                {
                    "generator": generator["experiment"],
                    "label": str(example["label_names"][index]),
                    "prediction": str(names[int(example["prediction"][index])]),
                    "adversarial_prediction": str(
                        names[int(example["adversarial_prediction"][index])]
                    ),
                }
            )
    labels = [g.get("label") or g["experiment"] for g in spec["options"]["generators"]]
    alt = (
        f"{len(chosen)} images in a row; beneath them the adversarial perturbations of "
        f"{' and '.join(labels)}, scaled so that grey means no change, each with the attacked "
        "model's prediction."
    )
    return {"alt": alt, "data": shown}
