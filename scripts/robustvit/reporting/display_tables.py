"""Results tables as the report prints them: strings in place, one or two columns per metric."""

from __future__ import annotations

from robustvit.reporting.formatting import interval, p_value, percent
from robustvit.reporting.results import is_asked

WIDE = 8  # columns beside the row's label from which a table is set across the page


def display_table(table: dict, spec: dict) -> dict:
    """Turn a table of `make_table.py` into strings.

    Args:
        table: what `build_table` made.
        spec: the report's settings: what they do not ask for is "–", not "not run".

    Returns:
        {"title","caption","comparison","columns":[{"label","published"}],"rows":[…],
        "chance": {"column": bool, "row": [str] or None},"wide","stand_in"}.
    """
    columns = [
        {"label": column["label"], "published": _any_published(table, index)}
        for index, column in enumerate(table["columns"])
    ]
    chance_row = _chance_row(table) if table["kind"] == "semantics" else None
    chance_column = chance_row is None and any(map(_row_chance, table["rows"]))
    width = len(columns) + sum(column["published"] for column in columns) + chance_column
    return {
        "name": table["name"],
        "title": table["title"],
        "caption": table["caption"],
        "corner": "Perturbations of" if table["kind"] == "semantics" else "Model",
        "comparison": table["comparison"],
        "columns": columns,
        "rows": [_row(row, spec) for row in table["rows"]],
        "chance_column": chance_column,
        "chance_row": chance_row,
        "wide": width > WIDE,
        "stand_in": any(row["stand_in"] for row in table["rows"]),
        "p_values": any(c.get("p_value") is not None for r in table["rows"] for c in r["cells"]),
        "published": any(column["published"] for column in columns),
    }


def _any_published(table: dict, index: int) -> bool:
    return any(row["cells"][index]["published"] for row in table["rows"])


def _row(row: dict, spec: dict) -> dict:
    chance = _row_chance(row)
    return {
        "label": row["label"],
        "published_label": row["published_label"] if _quotes(row) else None,
        "stand_in": row["stand_in"],
        "chance": percent(chance) if chance else "–",
        "cells": [_cell(cell, spec) for cell in row["cells"]],
    }


def _quotes(row: dict) -> bool:
    return any(cell["published"] for cell in row["cells"])


def _cell(cell: dict, spec: dict) -> dict:
    measured, published, status = cell["measured"], cell["published"], cell["status"]
    if status == "not run" and not is_asked(spec, cell["file"]):
        status = "not asked"
    notes = []
    if measured:
        notes = [interval(measured), f"{measured['k']} of {measured['n']}"]
    if cell.get("p_value") is not None:
        notes.append(p_value(cell["p_value"]))
    empty = "not run" if status == "not run" else "–"
    return {
        "status": status,
        "main": percent(measured["value"], measured["n"]) if measured else empty,
        "notes": notes,
        "published": _published_text(published),
        "verdict": None if status == "not asked" else _verdict(cell),
    }


def _published_text(published: dict | None) -> str:
    if not published:
        return "–"
    return f"{published['text']} %" if published["unit"] == "percent" else published["text"]


def _verdict(cell: dict) -> str | None:
    if cell["difference"] is None:
        return cell["verdict"]
    return f"{cell['difference']:+.1f}: {cell['verdict']}".replace("-", "−")


def _row_chance(row: dict) -> float | None:
    return next((cell["chance"] for cell in row["cells"] if cell["chance"]), None)


def _chance_row(table: dict) -> list[str] | None:
    """Chance per column, where guessing is the same for all rows."""
    chances = []
    for index in range(len(table["columns"])):
        found = {row["cells"][index]["chance"] for row in table["rows"]} - {None}
        chances.append(percent(found.pop()) if len(found) == 1 else "–")
    return chances if set(chances) != {"–"} else None
