"""Building any kind of table and writing it as JSON (for the report) and as CSV (for people).

A kind of table is a module in `robustvit.reporting.tables` with two functions:

- `files(spec) -> list[str]`: files that the table reads, relative to the results root, and no
  other. The workflow makes them first, and `build` must read nothing else: what lies there without
  being asked for belongs to an earlier run. Must import nothing heavy, since planning calls it.
- `build(spec, results, published) -> {"columns": [{"label", "metric"}], "rows": [{"label",
  "experiment", "published_label", "stand_in", "cells"}]}`: one cell of
  `robustvit.reporting.cells.make_cell` per column. A file that is missing is a cell "not run"; one
  that is there without the number is "not watched" for a training and else "not asked".
"""

from __future__ import annotations

import csv
import io

from robustvit.core.errors import UserError, unknown_name
from robustvit.core.plugins import load
from robustvit.reporting.cells import COMPARISONS
from robustvit.reporting.formatting import percent_number
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results
from robustvit.reporting.verdicts import NOT_COMPARABLE, OTHER_SETTINGS

PACKAGE = "robustvit.reporting.tables"
UNASKED = {"overfitting": "not watched"}  # kind of table: what to call a number a file lacks
CSV_COLUMNS = (
    "table",
    "row",
    "experiment",
    "column",
    "metric",
    "status",
    "measured_percent",
    "low_percent",
    "high_percent",
    "k",
    "n",
    "chance_percent",
    "published_value",
    "published_unit",
    "published_key",
    "published_for",
    "difference",
    "verdict",
    "reasons",
    "failed_checks",
    "other_settings",
    "stand_in",
    "file",
)


def table_files(spec: dict) -> list[str]:
    """Files that a table reads, relative to the results root."""
    return load(PACKAGE, spec.get("kind") or "evaluation").files(spec)


def build_table(spec: dict, results: Results, published: Published) -> dict:
    """Build the table that `spec` describes, whatever of it has been run.

    Raises:
        UserError: for an unknown kind, comparison or published key, or a key the kind needs.
    """
    kind = spec.get("kind") or "evaluation"
    comparison = spec.get("comparison") or "direction"
    name = spec.get("name", "?")
    if comparison not in COMPARISONS:
        raise unknown_name("comparison", comparison, COMPARISONS, f"tables.{name}.comparison")
    plugin = load(PACKAGE, kind)
    try:
        body = plugin.build(spec | {"comparison": comparison}, results, published)
    except KeyError as error:
        raise UserError(f"tables.{name}: the key {error} is missing (kind {kind}).") from error
    cells = [cell for row in body["rows"] for cell in row["cells"]]
    _tell_apart(cells, kind, results)
    _mark_other_settings(cells, results)
    head = {
        "name": name,
        "title": spec.get("title") or name,
        "caption": spec.get("caption") or "",
        "kind": kind,
        "comparison": comparison,
    }
    missing = {cell["file"] for cell in cells if cell["status"] == "not run"}
    return head | body | {"missing": sorted(missing)}


def _tell_apart(cells: list[dict], kind: str, results: Results) -> None:
    """A number that a file which is there does not hold is not missing: nobody asked for it."""
    for cell in cells:
        if cell["status"] == "not run" and (results.root / cell["file"]).exists():
            status = UNASKED.get(kind, "not asked")
            cell |= {"status": status, "verdict": None, "reasons": [], "difference": None}


def _mark_other_settings(cells: list[dict], results: Results) -> None:
    """A number of other settings than the configuration has now is shown, and says nothing."""
    for cell in cells:
        cell["other_settings"] = results.changes_of(cell["file"]) if cell["measured"] else []
        if cell["other_settings"]:
            cell |= {key: None for key in ("reading",) if key in cell}
            if cell["verdict"]:
                cell |= {"verdict": NOT_COMPARABLE, "reasons": [*cell["reasons"], OTHER_SETTINGS]}


def table_csv(table: dict) -> str:
    """The table as tidy CSV: one line per cell, percentages with all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in table["rows"]:
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            writer.writerow(_csv_line(table["name"], row, column, cell))
    return text.getvalue()


def _csv_line(table: str, row: dict, column: dict, cell: dict) -> dict:
    measured = cell["measured"] or {}
    published = cell["published"] or {}
    return {
        "table": table,
        "row": row["label"],
        "experiment": row["experiment"],
        "column": column["label"],
        "metric": column["metric"],
        "status": cell["status"],
        "measured_percent": percent_number(measured.get("value")),
        "low_percent": percent_number(measured.get("low")),
        "high_percent": percent_number(measured.get("high")),
        "k": measured.get("k"),
        "n": measured.get("n"),
        "chance_percent": percent_number(cell["chance"]),
        "published_value": published.get("text"),
        "published_unit": published.get("unit"),
        "published_key": published.get("key"),
        "published_for": row["published_label"],
        "difference": cell["difference"],
        "verdict": cell["verdict"],
        "reasons": "; ".join(cell["reasons"]),
        "failed_checks": "; ".join(check["name"] for check in cell["failed_checks"]),
        "other_settings": "; ".join(cell.get("other_settings") or []),
        "stand_in": str(row["stand_in"]).lower(),
        "file": cell["file"],
    }
