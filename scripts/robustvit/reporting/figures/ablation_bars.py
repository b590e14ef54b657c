"""Clean and robust accuracy per experiment as bars with 95% intervals and the level of chance.

options: {"rows": [{"experiment", "label", "evaluate": [protocols that are asked for],
"chosen_on_test": whether evaluation images chose the weights}],
"protocols": [{"protocol", "metric", "label"}] or null for clean and AutoAttack}.
Reads eval/<experiment>/<protocol>.json. An evaluation that was not run is written as such, one that
nobody asks for is "–", one with a failed safety check has a dagger, and one that the images of the
choice flatter a double one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.reporting import style
from robustvit.reporting.options import name_list
from robustvit.reporting.results import Results, failed_checks, proportion
from robustvit.reporting.selection import CHOSEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEFAULT = (
    {"protocol": "clean", "metric": "clean_top1", "label": "clean"},
    {"protocol": "autoattack", "metric": "robust_top1", "label": "AutoAttack"},
)
BAR, LINE = 0.36, 0.36  # heights of a bar and of a line of a label
CHANCE = "chance"
FAILED = "†"
MARKS = {  # meaning beneath the bars, and in words for those who do not see them
    FAILED: ("a safety check of this evaluation failed", "a safety check failed"),
    CHOSEN: (
        "of the epoch that did best on evaluation images",
        "epoch chosen on evaluation images",
    ),
}
SHOWN = ("measured", "texts")
SHOWS_MISSING = True  # an input that is not there is part of the figure, not an error
# What the configuration may say.
OPTIONS = {
    "experiments": name_list("demo_light", "demo_eps8", required=True),
    "protocols": name_list("clean", "autoattack"),
}


def files(options: dict) -> list[str]:
    """Files that the figure reads, relative to the results root; each may be missing."""
    return [
        Results.evaluation_file(row["experiment"], protocol["protocol"])
        for row in options["rows"]
        for protocol in options.get("protocols") or DEFAULT
        if protocol["protocol"] in row["evaluate"]
    ]


def read(options: dict, root: Path) -> dict:
    """Read one measured proportion, or None, per row and protocol, and its text."""
    results, protocols = Results(root), list(options.get("protocols") or DEFAULT)
    measured, texts, chances = [], [], []
    for row in options["rows"]:
        records = [_record(results, row, protocol["protocol"]) for protocol in protocols]
        measured.append(
            [
                proportion(record, p["metric"], row["experiment"]) if record else None
                for record, p in zip(records, protocols, strict=True)
            ]
        )
        mark = CHOSEN * bool(row.get("chosen_on_test"))
        texts.append([_text(*pair, mark) for pair in zip(measured[-1], records, strict=True)])
        chances.append(next((r["chance"] for r in records if r and r.get("chance")), None))
    if not any(any(row) for row in measured):
        raise UserError(f"{root}: none of the evaluations that this figure shows was run yet.")
    return {"protocols": protocols, "measured": measured, "texts": texts, "chances": chances}


def _record(results: Results, row: dict, protocol: str) -> dict | None:
    """An evaluation; None if it was not run, {} if nobody asks for it."""
    asked = protocol in row["evaluate"]
    return results.evaluation(row["experiment"], protocol) if asked else {}


def _text(measured: dict | None, record: dict | None, mark: str) -> str:
    if measured is None:
        return "not run" if record is None else "–"
    return f"{100 * measured['value']:.1f}" + FAILED * bool(failed_checks(record)) + mark


def draw(spec: dict, inputs: dict) -> Figure:
    """Draw a group of horizontal bars per experiment, the first at the top."""
    protocols, rows = inputs["protocols"], spec["options"]["rows"]
    labels = [style.wrap(row.get("label") or row["experiment"], 30) for row in rows]
    lines = 1 + max(label.count("\n") for label in labels)
    step = max(BAR * len(protocols) + 0.3, LINE * lines + 0.2)
    figure = style.new_figure(style.TEXT_WIDTH, 0.75 + 0.52 * step * len(rows))
    axes = figure.subplots()
    for index, protocol in enumerate(protocols):
        places = [row * step + index * BAR for row in range(len(rows))]
        bars = list(zip(places, *(_column(inputs[k], index) for k in SHOWN), strict=True))
        _draw_bars(axes, bars, protocol, index)
    middle = BAR * (len(protocols) - 1) / 2
    axes.set_yticks([row * step + middle for row in range(len(rows))], labels, linespacing=1.0)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    _draw_chance(axes, inputs["chances"], step, middle, len(protocols))
    axes.set_xlabel(_axis_label(inputs))
    axes.set_xlim(0, 109)  # room for the last value's text
    axes.set_xticks(range(0, 101, 20))
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda index: names[index] == CHANCE)
    figure.legend(
        [handles[i] for i in order],
        [names[i] for i in order],
        loc="outside upper right",
        ncols=len(names),
    )
    return figure


def _column(rows: list[list], index: int) -> list:
    return [row[index] for row in rows]


def _axis_label(inputs: dict) -> str:
    texts = "".join(text for row in inputs["texts"] for text in row)
    notes = [f"\n{mark} {meaning}" for mark, (meaning, _) in MARKS.items() if mark in texts]
    return "top-1 accuracy in %, with 95% intervals" + "".join(notes)


def _draw_bars(axes: Axes, bars: list[tuple], protocol: dict, index: int) -> None:
    """Draw the bars of one protocol: (place, measured proportion or None, text) each."""
    shown = [(place, value) for place, value, _ in bars if value]
    lengths = [100 * value["value"] for _, value in shown]
    errors = [
        [100 * (v["value"] - v["low"]) for _, v in shown],
        [100 * (v["high"] - v["value"]) for _, v in shown],
    ]
    axes.barh(
        [place for place, _ in shown],
        lengths,
        height=BAR * 0.88,
        color=style.CYCLE[index % len(style.CYCLE)],
        xerr=[[max(error, 0) for error in side] for side in errors],
        error_kw={"ecolor": "black", "elinewidth": 0.8, "capsize": 2},
        label=protocol.get("label") or protocol["protocol"],
    )
    for place, value, text in bars:
        end = 100 * value["high"] + 1.2 if value else 1
        color = "black" if value else style.GREY
        axes.text(end, place, text, va="center", fontsize=8, color=color)


def _draw_chance(axes: Axes, chances: list, step: float, middle: float, bars: int) -> None:
    """Mark guessing per group: groups may be of data sets with different numbers of classes."""
    half, label = BAR * bars / 2 + 0.06, CHANCE
    for row, chance in enumerate(chances):
        if chance:
            center = row * step + middle
            ends = [center - half, center + half]
            axes.plot([100 * chance] * 2, ends, ":", color="black", linewidth=1.2, label=label)
            label = None


def describe(spec: dict, inputs: dict) -> dict:
    """Alternative text and the values of the bars."""
    data, parts = [], []
    for row, *shown in zip(spec["options"]["rows"], *(inputs[k] for k in SHOWN), strict=True):
        for protocol, value, text in zip(inputs["protocols"], *shown, strict=True):
            name = protocol.get("label") or protocol["protocol"]
            data.append({"experiment": row["experiment"], "protocol": protocol["protocol"]})
            data[-1]["measured"] = value
            if value:
                notes = [words for mark, (_, words) in MARKS.items() if mark in text]
                text = f"{text.rstrip(FAILED + CHOSEN)} %" + "".join(f" ({n})" for n in notes)
            parts.append(f"{row.get('label') or row['experiment']}, {name}: {text}")
    return {"alt": "Bars of top-1 accuracy. " + "; ".join(parts) + ".", "data": data}
