"""Catastrophic overfitting: accuracy under the training's own attack and under a stronger one.

options: {"rows": [{"experiment", "label", "attacks": [names of the two attacks] or null}]}. Reads
train/<experiment>/metrics.csv of trainings whose recipe has a `watch`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.analysis.overfitting import FOUND, UNTOLD, detect_in_training
from robustvit.config.figure_options import check_watched
from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.formatting import sentence_list
from robustvit.reporting.options import name_list
from robustvit.reporting.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {"weak": "watch_weak_top1", "strong": "watch_strong_top1"}
COLUMNS = 2
# What the configuration may say.
OPTIONS = {"experiments": name_list("demo_light", required=True)}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    return [Results.training_file(row["experiment"]) for row in options["rows"]]


def check(config: dict, options: dict) -> None:
    """Refuse experiments that are not trained and trainings that are not watched.

    Raises:
        UserError: starting with the option's name.
    """
    check_watched(config, "experiments", options.get("experiments", []))


def read(options: dict, root: Path) -> dict:
    """Read two curves per training and what the detector says of them.

    Raises:
        UserError: if a training was not watched.
    """
    trainings, results = [], Results(root)
    for row, file in zip(options["rows"], files(options), strict=True):
        trained = results.training(row["experiment"])
        found = detect_in_training(trained) if trained else None
        if found is None:
            raise UserError(
                f"{root / file}: {row['experiment']} was not watched; give its recipe "
                "watch: {steps: 10, num_examples: 1000}"
            )
        watched = [r for r in trained["metrics"] if isinstance(r.get(CURVES["strong"]), float)]
        curves = {name: [r[column] for r in watched] for name, column in CURVES.items()}
        epochs = [int(r["epoch"]) + 1 for r in watched]
        trainings.append({"epochs": epochs, **curves, "overfitting": found})
    return {"trainings": trainings}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw a panel per training, with a line at the epoch where it broke down."""
    rows = spec["options"]["rows"]
    across = min(COLUMNS, len(rows))
    down = -(-len(rows) // across)
    figure = style.new_figure(style.TEXT_WIDTH, 0.5 + 1.9 * down)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(rows):
            axes.set_visible(False)
            continue
        _draw_training(axes, rows[place], inputs["trainings"][place])
        if place % across == 0:
            axes.set_ylabel("top-1 accuracy in %")
        if place + across >= len(rows):
            axes.set_xlabel("epochs of training")
    panels[0][0].set_ylim(bottom=0)  # not before all is drawn: they share it
    handles, _ = panels[0][0].get_legend_handles_labels()
    own = zip(*(_attacks(row) for row in rows), strict=True)
    labels = [f"under {sentence_list(dict.fromkeys(names), 'or')}" for names in own]
    figure.legend(handles, labels, loc="outside lower center", ncols=2, handlelength=3)
    return figure


def _attacks(row: dict) -> list[str]:
    return row.get("attacks") or ["training attack", "stronger attack"]


def _draw_training(axes: Axes, row: dict, training: dict) -> None:
    from matplotlib.ticker import MaxNLocator

    for index, (name, label) in enumerate(zip(CURVES, _attacks(row), strict=True)):
        mark = "o" if len(training["epochs"]) < 12 else ""
        values = [100 * value for value in training[name]]
        look = style.series_style(index) | {"marker": mark, "markersize": 3.5}
        axes.plot(training["epochs"], values, label=f"under {label}", **look)
    found = training["overfitting"]
    title = row.get("label") or row["experiment"]
    if found["verdict"] == FOUND:
        axes.axvline(found["epoch"], color=style.GREY, linewidth=0.9, linestyle=":")
        title += f"\ncatastrophic overfitting from epoch {found['epoch']}"
    elif found["verdict"] == UNTOLD:
        title += "\ncannot tell catastrophic overfitting"
    axes.set_title(title, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", color=style.LIGHT_GREY, linewidth=0.5)


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text with the verdicts, and the curves."""
    parts, data = [], []
    for row, training in zip(spec["options"]["rows"], inputs["trainings"], strict=True):
        found = training["overfitting"]
        when = f" from epoch {found['epoch']} on" if found["epoch"] else ""
        parts.append(
            f"{row.get('label') or row['experiment']}: {found['verdict']}{when}, at the end "
            f"{found['weak_last']:.1%} under the training's attack and {found['strong_last']:.1%} "
            "under the stronger one"
        )
        data.append({"experiment": row["experiment"], **training})
    return {"alt": f"Accuracy by epoch under two attacks. {'; '.join(parts)}.", "data": data}
