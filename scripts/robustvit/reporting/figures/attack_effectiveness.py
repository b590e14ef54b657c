"""Do few attack steps still find what many find, epoch by epoch? (spec A6).

options: {"folder": "losses/<analysis>", "models": [{"experiment", "label"}], "epochs": [1, …],
"steps": [numbers of steps, the largest is what the others are held against]}. Reads
<folder>/<experiment>/<epoch>.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.analysis.overfitting import FOUND, detect
from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.reporting import style
from robustvit.reporting.options import one_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the configuration may say.
OPTIONS = {"attack_losses": one_name("effectiveness", required=True)}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    if not options.get("epochs"):
        raise UserError(
            "a figure of kind attack_effectiveness shows checkpoints along a training: give its "
            "entry of attack_losses `epochs`, for instance [10, 50, 100]"
        )
    return [
        f"{options['folder']}/{model['experiment']}/{epoch}.json"
        for model in options["models"]
        for epoch in options["epochs"]
    ]


def check(config: dict, options: dict) -> None:
    """Refuse an analysis without checkpoints along the training.

    Raises:
        UserError: starting with the option's name.
    """
    name = options["attack_losses"]
    if not config["attack_losses"][name].get("epochs"):
        raise UserError(
            f"attack_losses: {name} has no epochs to follow a training along. Example: "
            f"attack_losses: {{{name}: {{epochs: [10, 50, 100]}}}}"
        )


def read(options: dict, root: Path) -> dict:
    """Read the curves: {"models": [{"gaps": {steps: [fractions]}, "top1": {steps: [fractions]}}]}.

    A model's "overfitting" is what `analysis.overfitting.detect` says of the fewest steps against
    the most.
    """
    models, epochs = [], list(options["epochs"])
    for model in options["models"]:
        folder = root / options["folder"] / model["experiment"]
        records = [read_json(folder / f"{epoch}.json") for epoch in epochs]
        steps = [{e["steps"]: e for e in record["steps"]} for record in records]
        gaps = {s: [at[s]["relative_gap"] for at in steps] for s in options["steps"]}
        top1 = {s: [at[s]["top1"]["value"] for at in steps] for s in options["steps"]}
        weak, strong = (top1[pick(s for s in options["steps"] if s)] for pick in (min, max))
        number = records[0]["num_examples"]
        found = detect(epochs, weak, strong, number)
        models.append({"gaps": gaps, "top1": top1, "overfitting": found, "images": number})
    return {"models": models, "epochs": epochs}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw a column per model: the gap of the loss above, the accuracy below."""
    from matplotlib.ticker import MaxNLocator

    options, models, epochs = spec["options"], inputs["models"], inputs["epochs"]
    names = [m.get("label") or m["experiment"] for m in options["models"]]
    figure = style.new_figure(style.TEXT_WIDTH, 4.4)
    panels = figure.subplots(2, len(models), sharex=True, sharey="row", squeeze=False)
    for column, (name, model) in enumerate(zip(names, models, strict=True)):
        upper, lower = panels[0][column], panels[1][column]
        upper.set_title(style.wrap(name, max(60 // len(models), 12)), fontsize=9)
        for index, steps in enumerate(options["steps"]):
            look = style.series_style(index) | {"marker": style.marker(index), "markersize": 3.5}
            label = f"PGD-{steps}"
            if steps != max(options["steps"]):
                shown = [100 * gap if gap is not None else None for gap in model["gaps"][steps]]
                upper.plot(epochs, shown, label=label, **look)
            lower.plot(epochs, [100 * v for v in model["top1"][steps]], label=label, **look)
        _mark(lower, model["overfitting"])
        lower.set_xlabel("epochs of training")
        for axes in (upper, lower):
            axes.grid(axis="y", color=style.LIGHT_GREY, linewidth=0.5)
            axes.set_axisbelow(True)
    for axes in panels[:, 0]:
        axes.set_ylim(bottom=0)  # not before all is drawn: the panels of a row share it
    lower.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0][0].set_ylabel(f"loss missed, in % of PGD-{max(options['steps'])}'s")
    panels[1][0].set_ylabel("robust top-1 accuracy in %")
    handles, labels = panels[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=3)
    return figure


def _mark(axes: object, found: dict | None) -> None:
    if found and found["verdict"] == FOUND:
        axes.axvline(found["epoch"], color=style.GREY, linewidth=0.8, linestyle=":")


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text, and the values of all curves."""
    options, epochs = spec["options"], inputs["epochs"]
    fewest, most = (pick(s for s in options["steps"] if s) for pick in (min, max))
    parts, data = [], []
    for entry, model in zip(options["models"], inputs["models"], strict=True):
        name, found = entry.get("label") or entry["experiment"], model["overfitting"]
        gap = model["gaps"][fewest]
        gap = "" if None in gap else f", gap {100 * gap[0]:.1f} % to {100 * gap[-1]:.1f} %"
        told = f", {found['verdict']}" + (f" at epoch {found['epoch']}" if found["epoch"] else "")
        parts.append(f"{name}{gap}{told}")
        data.append({"experiment": entry["experiment"], "epochs": epochs} | model)
    alt = (
        f"How much of the loss under PGD-{most} attacks of fewer steps miss, and accuracy under "
        f"each, at epochs {epochs[0]} to {epochs[-1]}; PGD-{fewest}: {'; '.join(parts)}."
    )
    return {"alt": alt, "data": data}
