"""A few images of each data set with their classes: what the models were really shown.

options: {"datasets": [names, or {"name", "label"}], "columns": 8, "rows": 1 (of each set), "split":
name or null for the last one}. Reads datasets/<name>/manifest.json and the files beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.core.files import read_json
from robustvit.reporting import style
from robustvit.reporting.class_names import readable
from robustvit.reporting.options import name_list, one_name, whole_number
from robustvit.reporting.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 160  # pixels that a picture of the sheet has at most: more would only make large files
# What the configuration may say.
OPTIONS = {
    "datasets": name_list("cifar10", required=True),
    "columns": whole_number(8),
    "rows": whole_number(3),
    "split": one_name("test", null=True),
}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [Results.dataset_file(entry["name"]) for entry in _entries(options)]


def _entries(options: dict) -> list[dict]:
    return [{"name": e} if isinstance(e, str) else e for e in options["datasets"]]


def read(options: dict, root: Path) -> dict:
    """Read the images: {"sets": [{"name","label","images","classes"}], "columns", "rows"}."""
    columns, lines = (int(options.get(key) or n) for key, n in (("columns", 8), ("rows", 1)))
    sets = []
    for entry, file in zip(_entries(options), files(options), strict=True):
        label = entry.get("label") or entry["name"]
        found = _pick(root / file, entry["name"], options.get("split"), columns, lines)
        sets.append({"name": entry["name"], "label": label} | found)
    filled = max(-(-len(shown["images"]) // columns) for shown in sets)
    return {"sets": sets, "columns": columns, "rows": min(lines, filled)}


def _pick(path: Path, name: str, split: str | None, columns: int, rows: int) -> dict:
    """The first image of each of `columns` classes spread over all of them, then the second, …"""
    # Here and not above, so that asking for the figure's files opens no data library.
    from robustvit.data.reading import TfdsImages

    manifest = read_json(path)
    split = split or list(manifest["splits"])[-1]
    classes = manifest["classes"]
    images = TfdsImages(path, {"name": name, "split": split, "num_classes": len(classes)})
    present = np.unique(images.labels)
    spread = present[np.linspace(0, len(present) - 1, min(columns, len(present))).astype(int)]
    places = {label: np.flatnonzero(images.labels == label) for label in spread}
    rounds = max(len(found) for found in places.values())
    order = [int(p[i]) for i in range(rounds) for p in places.values() if i < len(p)]
    order = order[: columns * rows]
    return {
        "images": [_square(image) for image in images.images(order)],
        "classes": [readable(str(classes[images.labels[place]])) for place in order],
        "stand_in": bool(manifest.get("stand_in")),
    }


def _square(image: np.ndarray) -> np.ndarray:
    """Cut the middle square of an image [H, W, 3] and bring it to `SIDE` pixels at most."""
    from PIL import Image

    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side <= SIDE:
        return square
    return np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw the rows of each data set, the class beneath each image."""
    rows = inputs["rows"]
    labels = [line for label in _labels(inputs) for line in (label, *[""] * (rows - 1))]
    figure, grid = style.picture_grid(labels, inputs["columns"])
    for index, shown in enumerate(inputs["sets"]):
        places = [axes for row in grid[index * rows : (index + 1) * rows] for axes in row]
        for axes, image, name in zip(places, shown["images"], shown["classes"], strict=False):
            style.show_image(axes, image)
            text = style.shorten(name.replace("_", " "), style.characters(axes))
            axes.set_xlabel(text, fontsize=8, labelpad=2)
    return figure


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the classes that the figure shows."""
    data = [
        {"dataset": row["name"], "stand_in": row["stand_in"], "classes": row["classes"]}
        for row in inputs["sets"]
    ]
    images = max(len(row["images"]) for row in inputs["sets"])
    if len(data) > 1:
        alt = f"Up to {images} example images of each of these data sets: "
        return {"alt": f"{alt}{', '.join(_labels(inputs))}.", "data": data}
    classes = ", ".join(dict.fromkeys(name.replace("_", " ") for name in data[0]["classes"]))
    alt = f"{images} example images of {_labels(inputs)[0]}, of these classes: {classes}."
    return {"alt": alt, "data": data}


def _labels(inputs: dict) -> list[str]:
    return [row["label"] + " (stand-in)" * row["stand_in"] for row in inputs["sets"]]
