"""A plan as text for a terminal, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from robustvit.planning.estimate import Line, Plan
from robustvit.planning.ranges import Range

COLUMNS = ("stage", "jobs", "device-hours", "host-hours", "disk GB", "network GB")
RANGES = ("device_hours", "host_hours", "money", "kg_co2")
SHOWN_BASES = 8


def as_text(plan: Plan) -> str:
    """The table with its bounds in brackets, then wall time, basis and what is assumed."""
    heads = (*COLUMNS, plan.currency, "kg CO2")
    rows = [heads, *(_cells(line) for line in (*plan.lines, plan.total))]
    return "\n".join([*_head(plan), "", *_aligned(rows), "", *_foot(plan)]) + "\n"


def as_csv(plan: Plan) -> str:
    """One row a stage and one for all; three columns for each number with a range."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ("low", "expected", "high")
    writer.writerow(
        ["stage", "jobs", "disk_gb", "network_gb", *(f"{k}_{p}" for k in RANGES for p in parts)]
    )
    for line in (*plan.lines, plan.total):
        values = [f"{getattr(getattr(line, key), part):.6g}" for key in RANGES for part in parts]
        sizes = (f"{line.disk:.6g}", f"{line.network:.6g}")
        writer.writerow([line.stage, line.jobs, *sizes, *values])
    return text.getvalue()


def _head(plan: Plan) -> Iterable[str]:
    asked = plan.settings
    yield f"Plan for {', '.join(asked['targets'])} ({asked['name']}), {asked['scope']}."
    yield f"{asked['devices']} × {asked['label']}; expected [low – high]. Nothing was started."


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.stage, f"{line.jobs:,}", _range(line.device_hours), _range(line.host_hours),
        _number(line.disk), _number(line.network), _range(line.money), _range(line.kg_co2),
    )  # fmt: skip


def _foot(plan: Plan) -> Iterable[str]:
    yield f"Wall time with these devices: {_duration(plan.wall_hours)}."
    yield f"Longest chain of jobs, whatever the devices: {_duration(plan.chain_hours)}."
    yield "Times rest on:"
    for basis, share in plan.basis[:SHOWN_BASES]:
        yield f"  {share:5.1f} %  {basis}"
    if plan.settings.get("note"):
        yield f"Note: {plan.settings['note']}"
    yield "Prices, power and CO2 are assumptions: planning/prices.yaml, or your own (plan.site)."


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for place, row in enumerate(rows):
        if place == len(rows) - 1 or place == 1:
            yield "  ".join("-" * width for width in widths)
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        yield "  ".join(cells).rstrip()


def _range(value: Range) -> str:
    if value.low == value.high:
        return _number(value.expected)
    return f"{_number(value.expected)} [{_number(value.low)} – {_number(value.high)}]"


def _duration(value: Range) -> str:
    if value.high < 2:
        minutes = Range(60 * value.low, 60 * value.expected, 60 * value.high)
        return f"{_range(minutes)} minutes"
    if value.expected < 72:
        return f"{_range(value)} hours"
    return f"{_range(Range(value.low / 24, value.expected / 24, value.high / 24))} days"


def _number(value: float) -> str:
    """Two digits where more would say what nobody knows."""
    if value == 0:
        return "0"
    if value < 0.01:
        return "<0.01"
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
