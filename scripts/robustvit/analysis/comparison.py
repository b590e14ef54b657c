"""Do two models' perturbations differ in how well they are classified? Paired, and corrected.

Generators attack the same images, so two of them are compared image by image: McNemar's exact test,
two-sided, with Holm's correction for all comparisons of the analysis under the same metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from robustvit.analysis.significance import TOP, holm, mcnemar_p_value, paired_difference
from robustvit.core.errors import UserError
from robustvit.core.files import read_json

TEST = "exact McNemar test, two-sided, on the same images; p-values adjusted by Holm's method"
CONTROL_TEST = "exact binomial test, two-sided; p-values adjusted by Holm's method"


def compare(spec: Mapping, folder: Path) -> dict:
    """Compare all pairs of generators under each classifier, and judge the controls.

    Args:
        spec: {"semantics", "generators": [names], "classifiers": [names]}.
        folder: of the analysis; holds <generator>/<classifier>.parquet and .json.

    Returns:
        {"semantics", "test", "pairs": [{"classifier", "metric", "first", "second",
        "only_first", "only_second", "num_examples", "difference", "p_value", "p_holm"}],
        "control_test", "controls": [{"generator", "classifier", "control", "metric", "measured",
        "expected", "verdict", "p_value", "p_holm"}], "controls_at_chance": bool or None}.

    Raises:
        UserError: if two generators were not run on the same images.
    """
    pairs = [pair for top in TOP for pair in _adjusted(_pairs(spec, folder, top))]
    controls = [found for top in TOP for found in _adjusted(_controls(spec, folder, top))]
    judged = [c["p_holm"] >= 0.05 for c in controls if c["control"] != "other_sign"]
    return {
        "semantics": spec["semantics"],
        "test": TEST,
        "pairs": pairs,
        "control_test": CONTROL_TEST,
        "controls": controls,
        "controls_at_chance": all(judged) if judged else None,
    }


def _adjusted(found: Iterator[dict]) -> list[dict]:
    entries = list(found)
    adjusted = holm([entry["p_value"] for entry in entries])
    return [e | {"p_holm": p} for e, p in zip(entries, adjusted, strict=True)]


def _pairs(spec: Mapping, folder: Path, top: int) -> Iterator[dict]:
    for classifier in spec["classifiers"]:
        files = {name: folder / name / f"{classifier}.parquet" for name in spec["generators"]}
        right = {name: _right(file, top) for name, file in files.items()}
        for first, second in combinations(spec["generators"], 2):
            if right[first].keys() != right[second].keys():
                raise UserError(
                    f"{files[second]}: holds other images than {files[first]}, so the two cannot "
                    "be compared image by image. Delete both folders and start again."
                )
            names = sorted(right[first])
            pair = np.array([[right[g][n] for n in names] for g in (first, second)], bool)
            only = int((pair[0] & ~pair[1]).sum()), int((~pair[0] & pair[1]).sum())
            yield {
                "classifier": classifier,
                "metric": f"top{top}",
                "first": first,
                "second": second,
                "only_first": only[0],
                "only_second": only[1],
                "num_examples": len(names),
                "difference": paired_difference(*only, len(names)),
                "p_value": mcnemar_p_value(*only),
            }


def _right(file: Path, top: int) -> dict[str, bool]:
    """Example id to whether its label is among the `top` first predictions."""
    rows = pq.read_table(file, columns=["example_id", "rank"]).to_pydict()
    return {name: rank < top for name, rank in zip(rows["example_id"], rows["rank"], strict=True)}


def _controls(spec: Mapping, folder: Path, top: int) -> Iterator[dict]:
    for generator in spec["generators"]:
        for classifier in spec["classifiers"]:
            record = read_json(folder / generator / f"{classifier}.json")
            for control, found in record["controls"].items():
                yield {
                    "generator": generator,
                    "classifier": classifier,
                    "control": control,
                    "metric": f"top{top}",
                    "measured": found[f"top{top}"],
                    "expected": found[f"chance_top{top}"],
                    "verdict": found[f"verdict_top{top}"],
                    "p_value": found[f"p_value_top{top}"],
                }
