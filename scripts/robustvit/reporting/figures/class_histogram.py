"""How many images each class of a data set has, one panel per split.

options: {"datasets": [one name, or {"name", "label"}]}. Reads datasets/<name>/manifest.json. Few
classes are named; of many, the places in the order of the labels are on the axis.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.reporting import style
from robustvit.reporting.class_names import readable
from robustvit.reporting.formatting import count
from robustvit.reporting.options import name_list
from robustvit.reporting.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 12  # classes that are named
ROW = 0.2  # inches that a named class takes
LETTERS = 18
# What the configuration may say.
OPTIONS = {"datasets": name_list("cifar10", required=True)}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [Results.dataset_file(_entry(options)["name"])]


def _entry(options: dict) -> dict:
    if len(options["datasets"]) != 1:
        raise UserError(
            f"options.datasets: this figure shows one data set, found {len(options['datasets'])}. "
            "Example: {datasets: [cifar10]}"
        )
    entry = options["datasets"][0]
    return {"name": entry} if isinstance(entry, str) else entry


def read(options: dict, root: Path) -> dict:
    """Read {"classes": names in label order, "counts": {split: [images per class]}}."""
    manifest = read_json(root / files(options)[0])
    counts = {name: part["class_counts"] for name, part in manifest["splits"].items()}
    return {"classes": [readable(str(name)) for name in manifest["classes"]], "counts": counts}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw a panel per split, side by side."""
    classes, counts = inputs["classes"], inputs["counts"]
    named = len(classes) <= NAMED
    height = 0.7 + ROW * len(classes) if named else 1.7
    figure = style.new_figure(style.TEXT_WIDTH, height)
    panels = figure.subplots(1, len(counts), sharey=named, squeeze=False)[0]
    for index, (axes, (split, numbers)) in enumerate(zip(panels, counts.items(), strict=True)):
        axes.set_title(f"{split}: {count(sum(numbers))} images", fontsize=9)
        (_draw_named if named else _draw_many)(axes, classes, numbers, first=index == 0)
    return figure


def _draw_named(axes: Axes, classes: list[str], numbers: list[int], first: bool) -> None:
    places = range(len(classes))
    axes.barh(places, numbers, height=0.7, color=style.BLUE)
    labels = [style.shorten(name.replace("_", " "), LETTERS) for name in classes]
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", length=0)
    if first:
        axes.invert_yaxis()
    axes.set_xlabel("images")
    axes.set_xlim(0, 1.08 * max([*numbers, 1]))
    axes.xaxis.get_major_locator().set_params(nbins=4, integer=True)


def _draw_many(axes: Axes, classes: list[str], numbers: list[int], first: bool) -> None:
    edges = [place - 0.5 for place in range(len(classes) + 1)]
    axes.stairs(numbers, edges, fill=True, color=style.BLUE, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * max([*numbers, 1]))
    axes.set_xlabel("class")
    if first:
        axes.set_ylabel("images")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(nbins=4, integer=True)


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text with the extremes of each split, and all counts."""
    texts = [_split_text(name, numbers) for name, numbers in inputs["counts"].items()]
    label = _entry(spec["options"]).get("label") or _entry(spec["options"])["name"]
    total = count(len(inputs["classes"]))
    alt = f"Bars with the number of images of each of {total} classes of {label}. "
    return {"alt": alt + " ".join(texts), "data": inputs["counts"]}


def _split_text(name: str, numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    if low == high:
        return f"Split {name}: {count(low)} images of each class."
    middle = count(statistics.median(numbers))
    return f"Split {name}: {count(low)} to {count(high)} images of a class, the median is {middle}."
