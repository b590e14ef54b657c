"""Tables of perturbations classified by other models: generators × classifiers (thesis, Table 9).

spec: {"semantics": name, "generators": [{"experiment", "label", "trained_on", "published":
{classifier: key}}], "classifiers": [{"experiment", "label", "trained_on"}], "metrics": ["top1",
"top5"], "controls": [names that get a row of their own beneath each generator], "dataset": the
attacked one or null}; "trained_on" is that of rows of accuracies. Published numbers may also stand
at the top as {"published": {"<generator>/<classifier>": key}}.
"""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting.cells import find_entry, make_cell
from robustvit.reporting.formatting import (
    count,
    p_value,
    percent,
    points,
    sentence_list,
    with_interval,
)
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results, is_complete, proportion
from robustvit.reporting.training_data import STAND_IN, training_files, training_flaws
from robustvit.reporting.verdicts import why_not_comparable

# What the configuration may say besides what all kinds have; with an example if it has to.
OPTIONS = {"semantics": "table9", "controls": None, "published": None}
METRIC_LABELS = {"top1": "top-1", "top5": "top-5"}
CONTROL_LABELS = {
    "shuffled_pixels": "pixels shuffled",
    "random_sign": "random signs instead",
    "other_sign": "other sign of δ",
}
IMPURE = ("other_sign",)  # may show a class, so it does not count in `controls_at_chance`
LEVEL = 0.05  # of the comparison's tests
MOST = 6  # controls that a note names


def files(spec: dict) -> list[str]:
    """Files that the table reads, relative to the results root."""
    classified = {
        Results.semantics_file(spec["semantics"], g["experiment"], c["experiment"])
        for g in spec["generators"]
        for c in spec["classifiers"]
    }
    compared = [Results.comparison_file(spec["semantics"])]
    attacked = [Results.dataset_file(spec["dataset"])] if spec.get("dataset") else []
    trained = training_files((*spec["generators"], *spec["classifiers"]))
    return sorted(classified) + compared + sorted({*attacked, *trained})


def build(spec: dict, results: Results, published: Published) -> dict:
    """Join the classifications of perturbations with published numbers and with chance.

    A published number stands in the column of its own metric.
    """
    columns = [
        {
            "label": f"{c['label']}, {METRIC_LABELS.get(metric, metric)}",
            "metric": metric,
            "classifier": c["experiment"],
            "trained_on": c.get("trained_on") or [],
        }
        for c in spec["classifiers"]
        for metric in spec.get("metrics") or ["top1", "top5"]
    ]
    rows = [
        _row(row, control, columns, spec, results, published)
        for row in spec["generators"]
        for control in (None, *(spec.get("controls") or []))
    ]
    notes = list(_notes(spec, results))
    shown = [{k: v for k, v in column.items() if k != "trained_on"} for column in columns]
    return {"columns": shown, "rows": rows, "notes": notes}


def _row(
    row: dict, control: str | None, columns: list, spec: dict, results: Results,
    published: Published,
) -> dict:  # fmt: skip
    cells = [_cell(row, control, column, spec, results, published) for column in columns]
    name = f", {CONTROL_LABELS.get(control, control)}" if control else ""
    return {
        "label": row["label"] + name,
        "experiment": row["experiment"],
        "control": control,
        "published_label": None if control else row.get("published_label"),
        "stand_in": any(cell.pop("stand_in") for cell in cells),
        "cells": cells,
    }


def _cell(
    row: dict, control: str | None, column: dict, spec: dict, results: Results,
    published: Published,
) -> dict:  # fmt: skip
    generator, classifier, metric = row["experiment"], column["classifier"], column["metric"]
    keys = {f"{generator}/{name}": key for name, key in (row.get("published") or {}).items()}
    keys = (spec.get("published") or {}) | keys
    entry = find_entry(published, keys.get(f"{generator}/{classifier}"))
    if control or (entry is not None and entry.metric != metric):
        entry = None
    file = results.semantics_file(spec["semantics"], generator, classifier)
    record = results.semantics(spec["semantics"], generator, classifier) or {}
    found = (record.get("controls") or {}).get(control, {}) if control else record
    comparison = spec.get("comparison", "direction")
    flaws = training_flaws([row, column], results) if record else []
    cell = make_cell(
        proportion(found, metric, file),
        entry,
        file=file,
        comparison=comparison,
        reasons=why_not_comparable(
            entry,
            _made(record),
            comparison=comparison,
            complete=is_complete(spec, results),
            trained=flaws,
        ),
        chance=found.get(f"chance_{metric}"),
    )
    return cell | {
        "p_value": None if control else record.get(f"p_value_{metric}"),
        "reading": found.get(f"verdict_{metric}"),
        "stand_in": bool(record.get("stand_in")) or STAND_IN in flaws,
    }


def _made(record: dict) -> dict:
    """A classification with what its perturbations were made with, as an evaluation has it."""
    made = record.get("perturbation") or {}
    attacked = (made.get("dataset") or {}).get("name") or made.get("attacked_set")
    return (
        record
        | {key: made.get(key) for key in ("attack", "threat", "sign")}
        | {"dataset": attacked}
    )


def _notes(spec: dict, results: Results) -> Iterator[str]:
    """Which generators differ, one sentence per classifier and metric, and what controls say."""
    compared = results.comparison(spec["semantics"])
    if compared is None or results.changes_of(results.comparison_file(spec["semantics"])):
        return
    labels = {e["experiment"]: e["label"] for e in (*spec["generators"], *spec["classifiers"])}
    metrics = spec.get("metrics") or ["top1", "top5"]
    for classifier in spec["classifiers"]:
        for metric in metrics:
            pairs = [
                _pair(pair, labels)
                for pair in compared["pairs"]
                if (pair["classifier"], pair["metric"]) == (classifier["experiment"], metric)
            ]
            if pairs:
                yield f"{classifier['label']}, {METRIC_LABELS[metric]}: {'; '.join(pairs)}."
    if compared["pairs"]:
        yield f"Differences in points with 95 % intervals; {compared['test']}."
    if compared["controls"]:
        yield _controls_note(compared["controls"])
    yield from _verdict_on_controls(compared, labels)


def _pair(pair: dict, labels: dict[str, str]) -> str:
    found = pair["difference"]
    shown = [points(found[key]) for key in ("value", "low", "high")]
    return (
        f"“{labels[pair['first']]}” against “{labels[pair['second']]}” {shown[0]} "
        f"[{shown[1]} to {shown[2]}], {p_value(pair['p_holm'])}"
    )


def _controls_note(controls: list[dict]) -> str:
    """How many intervals of the controls hold what chance alone would give, kind by kind."""
    parts = []
    for name in dict.fromkeys(control["control"] for control in controls):
        own = [control for control in controls if control["control"] == name]
        inside = sum(control["verdict"] == "at chance" for control in own)
        odd = sum(control["p_holm"] < 0.05 for control in own)
        off = f" ({odd} off it after correction)" if odd else ""
        parts.append(f"{CONTROL_LABELS.get(name, name)}: {inside} of {len(own)}{off}")
    return f"Controls whose 95 % interval holds chance: {sentence_list(parts)}."


def _verdict_on_controls(compared: dict, labels: dict[str, str]) -> Iterator[str]:
    """Whether the controls that show no class fall to chance, and which do not."""
    at_chance = compared.get("controls_at_chance")
    if at_chance is None:
        return
    judged = [control for control in compared["controls"] if control["control"] not in IMPURE]
    kinds = dict.fromkeys(CONTROL_LABELS.get(c["control"], c["control"]) for c in judged)
    corrected = f"of {sentence_list(kinds)}, {count(len(judged))} in all, after Holm's correction"
    if at_chance:
        yield f"All controls fall to chance: those {corrected}."
        return
    off = sorted((c for c in judged if c["p_holm"] < LEVEL), key=lambda c: c["p_holm"])
    parts = [_off_chance(control, labels) for control in off[:MOST]]
    if len(off) > MOST:
        parts.append(f"{count(len(off) - MOST)} more in comparison.json")
    yield f"Not all controls fall to chance ({corrected}); off it are: {'; '.join(parts)}."


def _off_chance(control: dict, labels: dict[str, str]) -> str:
    made, named = (labels.get(control[key], control[key]) for key in ("generator", "classifier"))
    return (
        f"“{made}”, {CONTROL_LABELS.get(control['control'], control['control'])}, named by "
        f"“{named}”, {METRIC_LABELS[control['metric']]}: {with_interval(control['measured'])}, "
        f"chance {percent(control['expected'])}"
    )
