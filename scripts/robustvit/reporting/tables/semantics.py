"""Tables of perturbations classified by other models: generators × classifiers (thesis, Table 9).

spec: {"semantics": name, "generators": [{"experiment", "label", "published": {classifier: key}}],
"classifiers": [{"experiment", "label"}], "metrics": ["top1", "top5"]}; published numbers may
also stand at the top as {"published": {"<generator>/<classifier>": key}}.
"""

from __future__ import annotations

from robustvit.reporting.cells import find_entry, make_cell
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results, proportion
from robustvit.reporting.verdicts import why_not_comparable

METRIC_LABELS = {"top1": "top-1", "top5": "top-5"}


def files(spec: dict) -> list[str]:
    """Files that the table reads, relative to the results root."""
    return sorted(
        Results.semantics_file(spec["semantics"], g["experiment"], c["experiment"])
        for g in spec["generators"]
        for c in spec["classifiers"]
    )


def build(spec: dict, results: Results, published: Published) -> dict:
    """Join the classifications of perturbations with published numbers and with chance.

    A published number stands in the column of its own metric.
    """
    columns = [
        {
            "label": f"{c['label']}, {METRIC_LABELS.get(metric, metric)}",
            "metric": metric,
            "classifier": c["experiment"],
        }
        for c in spec["classifiers"]
        for metric in spec.get("metrics") or ["top1", "top5"]
    ]
    rows = [_row(row, columns, spec, results, published) for row in spec["generators"]]
    return {"columns": columns, "rows": rows}


def _row(row: dict, columns: list, spec: dict, results: Results, published: Published) -> dict:
    cells = [_cell(row, column, spec, results, published) for column in columns]
    return {
        "label": row["label"],
        "experiment": row["experiment"],
        "published_label": row.get("published_label"),
        "stand_in": any(cell.pop("stand_in") for cell in cells),
        "cells": cells,
    }


def _cell(row: dict, column: dict, spec: dict, results: Results, published: Published) -> dict:
    generator, classifier, metric = row["experiment"], column["classifier"], column["metric"]
    keys = {f"{generator}/{name}": key for name, key in (row.get("published") or {}).items()}
    keys = (spec.get("published") or {}) | keys
    entry = find_entry(published, keys.get(f"{generator}/{classifier}"))
    if entry is not None and entry.metric != metric:
        entry = None
    file = results.semantics_file(spec["semantics"], generator, classifier)
    record = results.semantics(spec["semantics"], generator, classifier) or {}
    comparison = spec.get("comparison", "direction")
    cell = make_cell(
        proportion(record, metric, file),
        entry,
        file=file,
        comparison=comparison,
        reasons=why_not_comparable(entry, record, comparison=comparison),
        chance=record.get(f"chance_{metric}"),
    )
    return cell | {
        "p_value": record.get(f"p_value_{metric}"),
        "stand_in": bool(record.get("stand_in")),
    }
