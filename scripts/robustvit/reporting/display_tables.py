"""Results tables as the report prints them: strings in place, one or two columns per metric."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting.display_other import OTHER
from robustvit.reporting.display_verdicts import verdict_notes
from robustvit.reporting.formatting import interval, p_value, percent, sentence_list
from robustvit.reporting.selection import CHOSEN, images_of_choice, selection_of
from robustvit.reporting.verdicts import OTHER_SETTINGS

FAILED = "†"  # beside a number whose evaluation failed a safety check
WIDE = 8  # columns beside the row's label from which a table is set across the page


def display_table(table: dict, spec: dict, numbers: dict[str, int] | None = None) -> dict:
    """Turn a table of `make_table.py` into strings.

    Args:
        table: what `build_table` made.
        spec: the report's settings, which say how each experiment's epoch was chosen.
        numbers: by file, the number under which the report says where it comes from.

    Returns:
        {"title","caption","comparison","columns":[{"label","published"}],"rows":[…],
        "chance_column": bool, "chance_row": [str] or None, "wide", "stand_in",
        "notes": sentences that stand beneath the table}.
    """
    columns = [
        {"label": column["label"], "published": _any_published(table, index)}
        for index, column in enumerate(table["columns"])
    ]
    chance_row = _chance_row(table) if table["kind"] == "semantics" else None
    chance_column = chance_row is None and any(map(_row_chance, table["rows"]))
    # Where numbers tell how a classifier reads perturbations, the choice of weights favours none.
    marked = [] if table["kind"] == "semantics" else _chosen(table, spec)
    width = len(columns) + sum(column["published"] for column in columns) + chance_column
    return {
        "name": table["name"],
        "title": table["title"],
        "caption": table["caption"],
        "corner": "Perturbations of" if table["kind"] == "semantics" else "Model",
        "comparison": table["comparison"],
        "columns": columns,
        "rows": [_row(row, CHOSEN * (row in marked), numbers or {}) for row in table["rows"]],
        "chance_column": chance_column,
        "chance_row": chance_row,
        "wide": width > WIDE,
        "stand_in": any(row["stand_in"] for row in table["rows"]),
        "p_values": any(c.get("p_value") is not None for r in table["rows"] for c in r["cells"]),
        "published": any(column["published"] for column in columns),
        "notes": [*_marks(table), *table.get("notes", []), *_sentences(table, spec)],
        "files": [f"tables/{table['name']}.{suffix}" for suffix in ("csv", "tex", "json")],
    }


def _marks(table: dict) -> Iterator[str]:
    yield from _check_notes(table)
    yield from _other_notes(table)


def _sentences(table: dict, spec: dict) -> Iterator[str]:
    yield from verdict_notes(table)
    yield from _selection_notes(table, spec)


def _check_notes(table: dict) -> Iterator[str]:
    """One sentence per number with a failed check: which number, which check, what it found."""
    for row in table["rows"]:
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            for check in cell["failed_checks"]:
                detail = f" ({check['detail']})" if check["detail"] else ""
                where = f"“{row['label']}”, {column['label']}"
                yield f"{FAILED} {where}: failed the safety check “{check['name']}”{detail}."


def _other_notes(table: dict) -> Iterator[str]:
    """One sentence per change of settings: the rows whose numbers are of those before it."""
    labels: dict[str, dict[str, None]] = {}
    for row in table["rows"]:
        for cell in row["cells"]:
            for cause in cell.get("other_settings") or []:
                labels.setdefault(cause, {})[f"“{row['label']}”"] = None
    for cause, rows in labels.items():
        yield f"{OTHER} Of {OTHER_SETTINGS} ({cause}): {sentence_list(rows)}."


def _chosen(table: dict, spec: dict) -> list[dict]:
    """Rows with measured numbers whose weights were chosen on evaluation images."""
    rows = [row for row in table["rows"] if any(c["measured"] for c in row["cells"])]
    return [row for row in rows if selection_of(row["experiment"], spec) == "test"]


def _selection_notes(table: dict, spec: dict) -> Iterator[str]:
    """Say whose epoch was picked by its accuracy on evaluation images, which favours it."""
    chosen = _chosen(table, spec)
    if chosen:
        labels = sentence_list(f"“{row['label']}”" for row in chosen)
        measured = [row for row in table["rows"] if any(c["measured"] for c in row["cells"])]
        who = f"all {len(chosen)} models" if 1 < len(chosen) == len(measured) else labels
        where = images_of_choice([row["experiment"] for row in chosen], spec)
        mark = "" if table["kind"] == "semantics" else f"{CHOSEN} "
        yield (
            f"{mark}The weights of {who} are those of the epoch that did best on {where} "
            "(selection: test), which favours the measured numbers."
        )


def _any_published(table: dict, index: int) -> bool:
    return any(row["cells"][index]["published"] for row in table["rows"])


def _row(row: dict, mark: str, numbers: dict[str, int]) -> dict:
    chance = _row_chance(row)
    return {
        "label": row["label"],
        "published_label": (row["published_label"] or None) if _quotes(row) else None,
        "stand_in": row["stand_in"],
        "chance": percent(chance) if chance else "–",
        "cells": [_cell(cell, mark, numbers) for cell in row["cells"]],
    }


def _quotes(row: dict) -> bool:
    return any(cell["published"] for cell in row["cells"])


def _cell(cell: dict, mark: str, numbers: dict[str, int]) -> dict:
    measured, published, status = cell["measured"], cell["published"], cell["status"]
    notes = []
    if measured:
        notes = [interval(measured), f"{measured['k']} of {measured['n']}"]
    if cell.get("p_value") is not None:
        notes.append(p_value(cell["p_value"]))
    if cell.get("reading"):
        notes.append(cell["reading"])
    main = status if status in ("not run", "not watched") or _lacks(cell) else "–"
    if measured:
        main = percent(measured["value"], measured["n"]) + f" {mark}" * bool(mark)
    return {
        "status": status,
        "failed": bool(cell["failed_checks"] or cell.get("other_settings")),
        "main": main
        + f" {FAILED}" * bool(cell["failed_checks"])
        + f" {OTHER}" * bool(cell.get("other_settings")),
        "notes": notes,
        "origin": numbers.get(cell["file"]) if measured else None,
        "sort": None if measured is None else round(100 * measured["value"], 6),
        "published": _published_text(published),
        "published_sort": published["value"] if published else None,
        "difference": _difference(cell["difference"]),
        "verdict": cell["verdict"],
    }


def _lacks(cell: dict) -> bool:
    """Whether a result is there without this number, such as a control of perturbations."""
    return cell["status"] == "not asked" and "p_value" in cell


def _published_text(published: dict | None) -> str:
    if not published:
        return "–"
    return f"{published['text']} %" if published["unit"] == "percent" else published["text"]


def _difference(points: float | None) -> str | None:
    """Measured less published, in percentage points: "+2.0"."""
    if points is None:
        return None
    return "0.0" if abs(points) < 0.05 else f"{points:+.1f}".replace("-", "−")


def _row_chance(row: dict) -> float | None:
    return next((cell["chance"] for cell in row["cells"] if cell["chance"]), None)


def _chance_row(table: dict) -> list[str] | None:
    """Chance per column, or its range where rows guess differently (classes of unlike size)."""
    chances = []
    for index in range(len(table["columns"])):
        found = {row["cells"][index]["chance"] for row in table["rows"]} - {None}
        ends = dict.fromkeys(percent(end) for end in (min(found), max(found))) if found else ["–"]
        chances.append(" to ".join(ends))
    return chances if set(chances) != {"–"} else None
