"""Does accuracy fall to zero as the radius of the attack grows? (spec A6, sanity of AutoAttack).

options: {"rows": [{"experiment", "label", "epsilon_255", "evaluate": [protocols asked for]}],
"protocols": [{"protocol", "metric", "label"}]}: all experiments are one model at several radii; at
ε = 0 the clean protocol counts for the attack. Reads eval/<experiment>/<protocol>.json.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.options import name_list
from robustvit.reporting.results import Results, proportion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWS_MISSING = True  # a radius that was not run leaves a gap


def _asked(options: dict) -> list[tuple[dict, dict]]:
    """Row and protocol of each point: the attack, or clean where nothing is attacked."""
    points = []
    for row in options["rows"]:
        own = [p for p in options["protocols"] if p["protocol"] in row["evaluate"]]
        attacks = [p for p in own if p["metric"] != "clean_top1"]
        points += [(row, (attacks or own)[0])] if own else []
    return points


# What the configuration may say.
OPTIONS = {
    "experiments": name_list("demo_radius_0", "demo_radius_8", required=True),
    "protocols": name_list("clean", "autoattack", required=True),
}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root; each may be missing."""
    pairs = _asked(options)
    return [Results.evaluation_file(row["experiment"], p["protocol"]) for row, p in pairs]


def read(options: dict, root: Path) -> dict:
    """Read the points by radius: {"points": [{"epsilon_255", "measured"}], "chance": or None}."""
    results, points, chance = Results(root), [], None
    for row, protocol in _asked(options):
        record = results.evaluation(row["experiment"], protocol["protocol"])
        if record is None:
            continue
        radius = 0.0 if protocol["metric"] == "clean_top1" else float(row["epsilon_255"])
        measured = proportion(record, protocol["metric"], row["experiment"])
        points.append({"epsilon_255": radius, "measured": measured})
        chance = chance or record.get("chance")
    if not points:
        raise UserError(f"{root}: none of the evaluations that this figure shows was run yet.")
    return {"points": sorted(points, key=lambda p: p["epsilon_255"]), "chance": chance}


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw the accuracies with their intervals, and the level of guessing."""
    points = inputs["points"]
    radii = [point["epsilon_255"] for point in points]
    value, low, high = (
        [100 * point["measured"][key] for point in points] for key in ("value", "low", "high")
    )
    figure = style.new_figure(0.6 * style.TEXT_WIDTH, 2.8)
    axes = figure.subplots()
    below = [max(v - x, 0) for v, x in zip(value, low, strict=True)]
    above = [max(x - v, 0) for v, x in zip(value, high, strict=True)]
    axes.errorbar(
        radii, value, [below, above], fmt="o-", color=style.BLUE, capsize=2.5, markersize=4
    )
    if inputs["chance"]:
        axes.axhline(100 * inputs["chance"], color="black", linestyle=":", linewidth=1.0)
        # On the left, where the curve is far above it.
        axes.text(min(radii), 100 * inputs["chance"] + 1, "chance", ha="left", fontsize=8)
    axes.set_xticks(radii, [f"{radius:g}" for radius in radii])
    axes.set_xlabel("radius ε of the attack in 1/255")
    axes.set_ylabel("top-1 accuracy in %")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=style.LIGHT_GREY, linewidth=0.5)
    return figure


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text, the values, and whether accuracy never rises by more than chance."""
    points = inputs["points"]
    pairs = pairwise(points)
    falling = all(b["measured"]["low"] <= a["measured"]["high"] for a, b in pairs)
    shown = [f"{p['epsilon_255']:g}/255: {p['measured']['value']:.1%}" for p in points]
    told = "it never rises" if falling else "it rises somewhere, which a sound attack cannot do"
    alt = f"Accuracy by the attack's radius: {', '.join(shown)}; beyond chance {told}."
    return {"alt": alt, "data": {"points": points, "never_rises": falling}}
