"""What a run cost, in words and as a table: measured hours, estimated energy, CO2 and money."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting.formatting import sentence_list

ORIGIN = "planning/prices.yaml"


def display_cost(summary: dict) -> dict:
    """Turn the summary's cost into sentences and rows.

    Returns:
        {"sentences": [str], "rows": [{"label", "hours", "kwh", "kg_co2", "money", "basis",
        "amount": hours as a number}], "currency"}; without rows where nothing was measured.
    """
    found = summary.get("cost") or {"lines": [], "unknown": [], "currency": ""}
    return {
        "sentences": list(_sentences(found)),
        "rows": [_row(line) for line in found["lines"]],
        "currency": found["currency"],
    }


def _row(line: dict) -> dict:
    hosted = line["hosted"]
    return {
        "label": line["label"]
        if line["device"] == "cpu"
        else f"{line['device']} ({line['label']})",
        "hours": hours(line["hours"]),
        "amount": line["hours"],
        "basis": line["basis"],
        "kwh": "in the line above" if hosted else estimate(line["kwh"], "kWh", "Wh"),
        "kg_co2": "" if hosted else estimate(line["kg_co2"], "kg", "g"),
        "money": "" if hosted else estimate(line["money"]),
    }


def _sentences(found: dict) -> Iterator[str]:
    if not found["lines"]:
        yield "No job of this run has told its time yet, so there is nothing to estimate from."
    else:
        yield (
            f"Estimated from measured hours: {estimate(found['kwh'], 'kWh', 'Wh')} of energy, "
            f"{estimate(found['kg_co2'], 'kg', 'g')} of CO2 equivalents and a price of "
            f"{estimate(found['money'], found['currency'])}."
        )
        yield _assumptions(found["assumptions"])
    if found["unknown"]:
        names = sentence_list(f"“{name}”" for name in found["unknown"])
        yield (
            f"The power of {names} is not in {ORIGIN}: its hours are in no sum. Add it under "
            "devices, in a file of your own named by plan.site."
        )


def _assumptions(used: dict) -> str:
    overhead, grams = used["power_overhead"], used["grams_co2_per_kwh"]
    return (
        "The hours are measured; nothing measured the power. Watts of each device, "
        f"{span(overhead)} times that for the building, {span(grams)} g of CO2 for each kWh, and "
        f"prices are assumptions ({ORIGIN}), from which the bounds come. Attempts that failed or "
        "were thrown away, and making the machines, are not in it."
    )


def hours(value: float) -> str:
    """Write hours with two useful digits: "0.38 h", "1 870 h"."""
    return f"{significant(value)} h"


def estimate(values: dict, unit: str = "", smaller: str = "") -> str:
    """Write a range as its expected value with its bounds: "1.2 kWh (0.5–3.1)".

    Args:
        values: {"low", "expected", "high"}.
        unit: what it is in; nothing where the heading says so.
        smaller: a thousandth of the unit, for what is less than a tenth.
    """
    if smaller and values["expected"] < 0.1:
        values, unit = {key: 1000 * value for key, value in values.items()}, smaller
    number = " ".join(filter(None, (significant(values["expected"]), unit)))
    return number if values["high"] == 0 else f"{number} ({span(values)})"


def span(values: dict) -> str:
    """Write the bounds of a range: "0.5–3.1"."""
    low, high = significant(values["low"]), significant(values["high"])
    return low if low == high else f"{low}–{high}"


def significant(value: float) -> str:
    """Write a number with two useful digits, thousands apart: "0.0012", "3.4", "12", "1 900"."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2g}")
    if rounded >= 10:
        return f"{round(rounded):,}".replace(",", "\u2009")
    digits = max(0, 1 - _exponent(rounded))
    return f"{rounded:.{digits}f}"


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
