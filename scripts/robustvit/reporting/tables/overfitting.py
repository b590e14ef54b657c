"""Tables of trainings that were watched for catastrophic overfitting.

spec: {"rows": [{"experiment", "label", "attacks": [names of the weak and the strong one] or
null}]}. Reads train/<experiment>/metrics.csv.
"""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.analysis.overfitting import FOUND, UNTOLD, detect_in_training
from robustvit.evaluation.statistics import proportion
from robustvit.reporting.cells import make_cell
from robustvit.reporting.formatting import count
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results

# What the configuration may say besides what all kinds have; with an example if it has to.
OPTIONS = {"rows": "[demo_light]"}
COLUMNS = (
    ("stronger attack, best epoch", "strong_best"),
    ("stronger attack, last epoch", "strong_last"),
    ("training attack, best epoch", "weak_best"),
    ("training attack, last epoch", "weak_last"),
)


def files(spec: dict) -> list[str]:
    """Files that the table reads, relative to the results root."""
    return [Results.training_file(row["experiment"]) for row in spec["rows"]]


def build(spec: dict, results: Results, published: Published) -> dict:
    """One row per training; its verdict is a note, and the row's "overfitting"."""
    rows, notes = [], []
    for row, file in zip(spec["rows"], files(spec), strict=True):
        trained = results.training(row["experiment"])
        found = detect_in_training(trained) if trained else None
        changed = bool(results.changes_of(file))
        cells = [_cell(found, key, file, spec) for _, key in COLUMNS]
        rows.append(
            {
                "label": row["label"],
                "experiment": row["experiment"],
                "published_label": None,
                "stand_in": False,
                "cells": cells,
                "overfitting": None if changed else found,
            }
        )
        notes += [] if changed else _notes(row, found)
    columns = [{"label": label, "metric": key} for label, key in COLUMNS]
    return {"columns": columns, "rows": rows, "notes": notes}


def _cell(found: dict | None, key: str, file: str, spec: dict) -> dict:
    measured = None
    if found:
        number = found["num_examples"]
        measured = proportion(round(found[key] * number), number)
    return make_cell(measured, None, file=file, comparison=spec.get("comparison", "direction"))


def _notes(row: dict, found: dict | None) -> Iterator[str]:
    if found is None:
        return
    weak, strong = row.get("attacks") or ["its own attack", "the stronger one"]
    if found["verdict"] == UNTOLD:
        yield f"“{row['label']}”: cannot be told ({weak} against {strong}): {_why(found, strong)}."
        return
    if found["verdict"] != FOUND:
        yield (
            f"“{row['label']}”: no catastrophic overfitting ({weak} against {strong}); a fall of "
            f"{_least(found)} under {strong} would have been seen."
        )
        return
    end = "and stayed so" if found["lasting"] else "and recovered"
    yield (
        f"“{row['label']}”: catastrophic overfitting from epoch {found['epoch']} on (best epoch "
        f"before it: {found['last_sound_epoch']}): {strong} falls while {weak} does not, {end} by "
        f"epoch {found['last_epoch']}."
    )


def _least(found: dict) -> str:
    return f"{100 * found['detectable_fall']:.1f} points"


def _why(found: dict, strong: str) -> str:
    """Why a training without a sign of it need not be sound."""
    seen = f"on {count(found['num_examples'])} images "
    if not found["above_chance"]:
        end = f"{100 * found['weak_last']:.1f} % under its own attack and"
        end += f" {100 * found['strong_last']:.1f} % under {strong} at the end"
        broken = f"; {end} are as after catastrophic overfitting" if found["broken"] else ""
        return f"accuracy under {strong} was {seen}never above chance, so it cannot fall{broken}"
    if found["detectable_fall"] is None:
        return f"{seen}no fall under {strong} would have been seen"
    return f"{seen}only a fall of {_least(found)} or more under {strong} would have been seen"
