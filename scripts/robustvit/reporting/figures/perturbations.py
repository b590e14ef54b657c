"""Images, and beneath them what each model's attack changes (thesis, Figures 1, 11 and 13).

options: {"semantics": name, "generators": [{"experiment", "label"}], "sign": "minus" or "plus",
"columns": 8 (at most), "wrap": pictures of a row (null for all), "classes": [names] or null,
"scaling": "epsilon" or "max", "colors": "color" or "grey", "attacked": whether the attacked images
are drawn too}. Reads semantics/<semantics>/<experiment>/examples.npz.

A perturbation is drawn as (δ + ε) / 2ε (`scaling: epsilon`, the thesis' formula): grey is no
change, white and black are ±ε. `scaling: max` takes the largest |δ| of the picture for ε, and
`colors: grey` the luma of the channels (`LUMA`) on an inverted scale, as the released notebooks do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.config.class_lists import check_class_names
from robustvit.core.errors import UserError, unknown_name
from robustvit.reporting import style
from robustvit.reporting.class_names import place_of, readable
from robustvit.reporting.options import name_list, one_name, whole_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = (
    *("images", "adversarial", "perturbation", "epsilon", "labels", "label_names", "prediction"),
    *("adversarial_prediction", "class_names"),
)
SCALINGS, COLORS = ("epsilon", "max"), ("color", "grey")
# What the configuration may say.
OPTIONS = {
    "semantics": one_name("table9", required=True),
    "columns": whole_number(8),
    "wrap": whole_number(8),
    "classes": name_list("castle", "maze", null=True),
    "scaling": SCALINGS,
    "colors": COLORS,
    "attacked": (True, False),
}
LUMA = (0.299, 0.587, 0.114)  # as torchvision and Pillow make a picture grey
SIGNS = {"minus": -1.0, "plus": 1.0}


def check(config: dict, options: dict) -> None:
    """Refuse classes that the attacked data set does not have, as far as they are known yet.

    Raises:
        UserError: starting with the option's name.
    """
    analysis = config["semantics"][options["semantics"]]
    check_class_names(config, "classes", options.get("classes") or [], analysis["dataset"])


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    folder = f"semantics/{options['semantics']}"
    return [f"{folder}/{g['experiment']}/examples.npz" for g in options["generators"]]


def read(options: dict, root: Path) -> dict:
    """Read the examples of all generators and choose the columns.

    Returns:
        {"examples": [one dict of arrays per generator], "chosen": indices [columns]}.

    Raises:
        UserError: if the generators attacked different images, or for an unknown option.
    """
    for key, known in (("scaling", SCALINGS), ("colors", COLORS)):
        if options.get(key, known[0]) not in known:
            raise unknown_name(key, options[key], known, f"options.{key}")
    examples = []
    for file in files(options):
        with np.load(root / file, allow_pickle=False) as stored:
            examples.append({key: stored[key] for key in KEYS})
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
        places = _places(wanted, [str(name) for name in example["class_names"]])
        order = np.array([i for p in places for i in order if labels[i] == p], dtype=int)
    if len(order) == 0:
        raise UserError(
            f"options.classes: none of {wanted} is shown; known: {', '.join(sorted(set(names)))}."
        )
    return order[: int(options.get("columns") or 8)]


def _places(wanted: list[str], classes: list[str]) -> list[int]:
    places = [place_of(name, classes) for name in wanted]
    if None in places:
        raise unknown_name("class", wanted[places.index(None)], set(classes), "options.classes")
    return places


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw one row of images and one row of perturbations per generator, in blocks if wrapped."""
    examples, chosen, options = inputs["examples"], inputs["chosen"], spec["options"]
    names = [g.get("label") or g["experiment"] for g in options["generators"]]
    each = 2 if options.get("attacked") else 1
    labels = [row for name in names for row in (name, f"{name}, attacked image")[:each]]
    wrap = min(options.get("wrap") or len(chosen), len(chosen))
    blocks = -(-len(chosen) // wrap)
    figure, grid = style.picture_grid(["image", *labels], wrap, blocks=blocks)
    for place, index in enumerate(chosen):
        column, top = place % wrap, place // wrap * (1 + len(labels))
        axes = grid[top][column]
        style.show_image(axes, examples[0]["images"][index].transpose(1, 2, 0))
        name = style.shorten(
            readable(str(examples[0]["label_names"][index])), style.characters(axes)
        )
        axes.set_title(name, fontsize=8.5, pad=3)
        for number, example in enumerate(examples):
            row = grid[top + 1 + each * number]
            style.show_image(row[column], picture(example, index, options))
            if each == 2:
                row = grid[top + 2 + each * number]
                style.show_image(row[column], example["adversarial"][index].transpose(1, 2, 0))
            _note_prediction(row[column], example, index)
    return figure


def picture(example: dict, index: int, options: dict) -> np.ndarray:
    """The perturbation of one example as a picture [H, W, 3], as `options` ask for it."""
    if options.get("scaling", "epsilon") == "epsilon":
        shown = example["perturbation"][index] / 255.0
    else:
        delta = example["adversarial"][index] - example["images"][index]
        delta = SIGNS[options.get("sign", "minus")] * delta.transpose(1, 2, 0)
        largest = float(np.abs(delta).max()) or 1.0
        shown = (delta + largest) / (2 * largest)
    if options.get("colors", "color") == "grey":
        shown = np.repeat(1.0 - shown @ np.array(LUMA)[:, None], 3, axis=2)
    return shown.clip(0.0, 1.0)


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
        f"{' and '.join(labels)}, scaled to {_scale_text(spec['options'])}, each with the attacked "
        "model's prediction."
    )
    return {"alt": alt, "data": shown}


def _scale_text(options: dict) -> str:
    scale = "the radius ε" if options.get("scaling", "epsilon") == "epsilon" else "their largest"
    grey = ", as inverted grey" if options.get("colors") == "grey" else ""
    return f"{scale} so that mid grey means no change{grey}"
