"""Tables of accuracies: a row per experiment, a column per protocol.

spec: {"rows": [{"experiment": name or null, "label", "dataset": it is evaluated on, "trained_on":
[data sets of all trainings that led to its weights], "evaluate":
[protocols that are asked for], "published": {protocol: key}, "published_label"}], "columns":
[{"protocol", "metric", "label"}]}.
"""

from __future__ import annotations

from robustvit.core.errors import UserError, unknown_name
from robustvit.reporting.cells import find_entry, make_cell
from robustvit.reporting.cross_checks import cross_checks
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results, failed_checks, is_complete, proportion
from robustvit.reporting.training_data import STAND_IN, training_files, training_flaws
from robustvit.reporting.verdicts import why_not_comparable

# What the configuration may say besides what all kinds have; with an example if it has to.
OPTIONS = {"columns": "[clean, autoattack]", "rows": "[demo_light]", "prefer": None}


def files(spec: dict) -> list[str]:
    """Files that the table reads, relative to the results root."""
    asked = [(r, c) for r in spec["rows"] for c in spec["columns"] if _is_asked(r, c)]
    datasets = {row["dataset"] for row, _ in asked if row.get("dataset")}
    return sorted(
        {Results.evaluation_file(row["experiment"], column["protocol"]) for row, column in asked}
        | training_files(row for row, _ in asked)
        | {Results.dataset_file(name) for name in datasets}
    )


def _is_asked(row: dict, column: dict) -> bool:
    return row.get("experiment") is not None and column["protocol"] in row["evaluate"]


def build(spec: dict, results: Results, published: Published) -> dict:
    """Join the evaluations of `results` with published numbers.

    Returns:
        {"columns": [...], "rows": [...]}; a row whose experiment is null quotes only.

    Raises:
        UserError: if a published key or the protocol it belongs to is unknown.
    """
    columns = [
        {"label": c["label"], "metric": c["metric"], "protocol": c["protocol"]}
        for c in spec["columns"]
    ]
    rows = [_row(row, columns, spec, results, published) for row in spec["rows"]]
    return {"columns": columns, "rows": rows}


def _row(row: dict, columns: list, spec: dict, results: Results, published: Published) -> dict:
    keys = row.get("published") or {}
    protocols = {column["protocol"] for column in columns}
    for protocol in keys:
        if protocol not in protocols:
            where = f'tables.{spec["name"]}, row "{row["label"]}", published'
            raise unknown_name("protocol", protocol, protocols, where)
    checks = _cross_checks(row, columns, results)
    cells = [_cell(row, keys, c, spec, results, published, checks) for c in columns]
    return {
        "label": row["label"],
        "experiment": row.get("experiment"),
        "published_label": row.get("published_label"),
        "stand_in": any(cell.pop("stand_in") for cell in cells),
        "cells": cells,
    }


def _cross_checks(row: dict, columns: list, results: Results) -> dict[str, list[dict]]:
    """What the row's evaluations say about each other."""
    asked = [column["protocol"] for column in columns if _is_asked(row, column)]
    return cross_checks({p: results.evaluation(row["experiment"], p) for p in asked})


def _cell(
    row: dict,
    keys: dict,
    column: dict,
    spec: dict,
    results: Results,
    published: Published,
    checks: dict[str, list[dict]],
) -> dict:
    entry = find_entry(published, keys.get(column["protocol"]))
    experiment = row.get("experiment")
    if experiment is None:
        return make_cell(None, entry, file=None, comparison="direction") | {"stand_in": False}
    file, asked = results.evaluation_file(experiment, column["protocol"]), _is_asked(row, column)
    record = results.evaluation(experiment, column["protocol"]) if asked else None
    measured = None if record is None else proportion(record, column["metric"], file)
    if record is not None and measured is None:
        raise UserError(
            f"tables.{spec['name']}: {file} has no {column['metric']}; "
            'expected a metric such as "clean_top1" or "robust_top1".'
        )
    record = record or {}
    own_checks = {"checks": checks.get(column["protocol"], [])}
    failed = failed_checks(record) + failed_checks(own_checks)
    comparison = spec.get("comparison", "direction")
    complete = is_complete(row, results) if record else None
    flaws = training_flaws([row], results) if record else []
    why = why_not_comparable(
        entry, record, comparison=comparison, failed=failed, complete=complete, trained=flaws
    )
    cell = make_cell(
        measured,
        entry,
        file=file,
        comparison=comparison,
        reasons=why,
        chance=record.get("chance"),
        asked=asked,
        failed=failed,
    )
    return cell | {"stand_in": bool(record.get("stand_in")) or STAND_IN in flaws}
