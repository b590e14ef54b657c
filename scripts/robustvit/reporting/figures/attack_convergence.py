"""After how many steps does an attack's loss stop growing, and does the start matter? (spec A6).

options: {"folder": "losses/<analysis>", "models": [{"experiment", "label"}], "epochs": null or
[1, …] of which the last is shown, "steps": [numbers of steps]}. Reads
<folder>/<experiment>/<epoch or "final">.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.files import read_json
from robustvit.reporting import style
from robustvit.reporting.options import one_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the configuration may say.
OPTIONS = {"attack_losses": one_name("convergence", required=True)}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root."""
    name = max(options["epochs"]) if options.get("epochs") else "final"
    return [f"{options['folder']}/{m['experiment']}/{name}.json" for m in options["models"]]


def read(options: dict, root: Path) -> dict:
    """Read the summaries of all models: {"models": [{"steps": […], "loss": […], …}]}."""
    models = []
    for file in files(options):
        record = read_json(root / file)
        keys = ("steps", "loss", "loss_by_seed", "std_over_seeds", "image_std")
        found = {key: [entry[key] for entry in record["steps"]] for key in keys}
        models.append(found | {"images": record["num_examples"], "seeds": record["seeds"]})
    return {"models": models}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw a line per model through its mean loss, and each repetition as a point behind it."""
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = style.new_figure(0.75 * style.TEXT_WIDTH, 3.2)
    axes = figure.subplots()
    for index, (entry, model) in enumerate(
        zip(spec["options"]["models"], inputs["models"], strict=True)
    ):
        look, steps = style.series_style(index), model["steps"]
        for place, values in zip(steps, model["loss_by_seed"], strict=True):
            axes.plot([place] * len(values), values, ".", color=look["color"], ms=3, alpha=0.4)
        name = entry.get("label") or entry["experiment"]
        axes.plot(steps, model["loss"], marker=style.marker(index), ms=4, label=name, **look)
    steps = inputs["models"][0]["steps"]
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(step) for step in steps])
    axes.set_xlim(left=-0.15)
    axes.set_xlabel("attack steps of one size")
    axes.set_ylabel("mean cross-entropy")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=style.LIGHT_GREY, linewidth=0.5)
    figure.legend(loc="outside upper left", ncols=2, handlelength=3)
    return figure


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text, and the values of the curves."""
    parts, data = [], []
    for entry, model in zip(spec["options"]["models"], inputs["models"], strict=True):
        name, last = entry.get("label") or entry["experiment"], model["steps"][-1]
        spread = model["image_std"][-1]
        about = "" if spread is None else f", spread over starts {spread:.2g}"
        parts.append(
            f"{name}: {model['loss'][0]:.3f} at {model['steps'][0]} steps, {model['loss'][-1]:.3f} "
            f"at {last}{about}"
        )
        data.append({"experiment": entry["experiment"]} | model)
    return {"alt": f"Mean loss by the number of attack steps. {'; '.join(parts)}.", "data": data}
