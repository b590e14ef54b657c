"""A few images of each data set with their classes: what the models were really shown.

options: {"datasets": [names, or {"name", "label"}], "columns": 8, "split": name or null for the
last one}. Reads datasets/<name>/manifest.json and the files beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustvit.core.files import read_json
from robustvit.reporting import style
from robustvit.reporting.class_names import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 160  # pixels that a picture of the sheet has at most: more would only make large files


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [f"datasets/{entry['name']}/manifest.json" for entry in _entries(options)]


def _entries(options: dict) -> list[dict]:
    return [{"name": e} if isinstance(e, str) else e for e in options["datasets"]]


def read(options: dict, root: Path) -> dict:
    """Read the images: {"rows": [{"name","label","images","classes"}]}, one per data set."""
    columns = int(options.get("columns") or 8)
    rows = []
    for entry, file in zip(_entries(options), files(options), strict=True):
        label = entry.get("label") or entry["name"]
        found = _pick(root / file, entry["name"], options.get("split"), columns)
        rows.append({"name": entry["name"], "label": label} | found)
    return {"rows": rows, "columns": columns}


def _pick(path: Path, name: str, split: str | None, columns: int) -> dict:
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
    order = [int(p[i]) for i in range(rounds) for p in places.values() if i < len(p)][:columns]
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
    """Draw one row per data set, the class beneath each image."""
    labels = [row["label"] + " (stand-in)" * row["stand_in"] for row in inputs["rows"]]
    figure, grid = style.picture_grid(labels, inputs["columns"])
    for axes_row, row in zip(grid, inputs["rows"], strict=True):
        for axes, image, name in zip(axes_row, row["images"], row["classes"], strict=False):
            style.show_image(axes, image)
            text = style.shorten(name.replace("_", " "), style.characters(axes))
            axes.set_xlabel(text, fontsize=8, labelpad=2)
    return figure


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the classes that the figure shows."""
    data = [
        {"dataset": row["name"], "stand_in": row["stand_in"], "classes": row["classes"]}
        for row in inputs["rows"]
    ]
    labels = [row["label"] + " (stand-in)" * row["stand_in"] for row in inputs["rows"]]
    alt = f"{inputs['columns']} example images of each of these data sets: {', '.join(labels)}."
    return {"alt": alt, "data": data}
