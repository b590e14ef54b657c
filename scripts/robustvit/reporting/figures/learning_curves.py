"""Clean and robust top-1 accuracy over the epochs of training, above learning rate and radius.

options: {"experiments": [{"experiment", "label"}]}. Reads train/<experiment>/metrics.csv.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.options import name_list
from robustvit.reporting.results import Results, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"clean": "unchanged images", "robust": "under the attack used in training"}
SCHEDULES = {"lr": "learning rate", "epsilon": "radius ε of the attack in 1/255"}
COLUMNS = {
    "clean": "eval_clean_top1",
    "robust": "eval_robust_top1",
    "lr": "lr",
    "epsilon": "epsilon_255",
}
# What the configuration may say.
OPTIONS = {"experiments": name_list("demo_light", "demo_eps8", required=True)}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [Results.training_file(entry["experiment"]) for entry in options["experiments"]]


def read(options: dict, root: Path) -> dict:
    """Read one curve per experiment and panel: {"curves": [{"clean": (epochs, fractions), …}]}."""
    curves = []
    for file in files(options):
        rows = read_table(root / file)
        if not rows:
            raise UserError(f"{root / file}: has no epochs; delete it and start again to make it.")
        curves.append({panel: _curve(rows, name) for panel, name in COLUMNS.items()})
    return {"curves": curves}


def _curve(rows: list[dict], name: str) -> tuple[list[int], list[float]]:
    points = [(i + 1, row.get(name)) for i, row in enumerate(rows)]  # after each epoch
    points = [(epoch, value) for epoch, value in points if isinstance(value, float)]
    return [epoch for epoch, _ in points], [value for _, value in points]


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw two panels of accuracies, two low ones of schedules, and one legend for all."""
    names = [e.get("label") or e["experiment"] for e in spec["options"]["experiments"]]
    columns = min(_legend_columns(names), len(names))
    rows = -(-len(names) // columns)
    figure = style.new_figure(style.TEXT_WIDTH, 3.6 + 0.19 * rows)
    upper, lower = figure.subplots(2, 2, sharex="col", height_ratios=[2.2, 1])
    upper[1].sharey(upper[0])
    upper[1].tick_params(labelleft=False)
    for axis, (panel, title) in zip(upper, PANELS.items(), strict=True):
        _plot(axis, inputs["curves"], panel, names, factor=100)
        _finish(axis, title)
    for axis, (panel, title) in zip(lower, SCHEDULES.items(), strict=True):
        _plot(axis, inputs["curves"], panel, names)
        _finish(axis, title)
        axis.set_xlabel("epochs of training")
    upper[0].set_ylabel("top-1 accuracy in %")
    handles, labels = upper[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)
    return figure


def _plot(axes: Axes, curves: list[dict], panel: str, names: list[str], factor: float = 1) -> None:
    for index, (name, curve) in enumerate(zip(names, curves, strict=True)):
        epochs, values = curve[panel]
        axes.plot(epochs, [factor * y for y in values], label=name, **_line(index, values))


def _legend_columns(labels: list[str]) -> int:
    longest = max(map(len, labels))
    return 3 if longest <= 24 else 2 if longest <= 42 else 1


def _line(index: int, values: list[float]) -> dict:
    return style.series_style(index) | {"marker": "o" if len(values) == 1 else ""}


def _finish(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color=style.LIGHT_GREY, linewidth=0.5)
    axes.set_axisbelow(True)
    if not any(len(line.get_xdata()) for line in axes.lines):
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=style.GREY)


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the final values of each curve."""
    data = []
    for entry, curves in zip(spec["options"]["experiments"], inputs["curves"], strict=True):
        ends = {f"final_{panel}_top1": (curves[panel][1] or [None])[-1] for panel in PANELS}
        data.append({"experiment": entry["experiment"], "epochs": len(curves["clean"][0])} | ends)
    labels = [e.get("label") or e["experiment"] for e in spec["options"]["experiments"]]
    alt = (
        "Clean and robust accuracy, learning rate and radius of the attack over the epochs of "
        f"training for {', '.join(labels)}."
    )
    return {"alt": alt, "data": data}
