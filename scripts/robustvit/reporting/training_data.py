"""What the images that a model was trained on mean for its numbers."""

from __future__ import annotations

from collections.abc import Iterable

from robustvit.reporting.results import Results, is_complete

STAND_IN, INCOMPLETE = "trained on stand-in images", "trained on an incomplete data set"


def training_files(shown: Iterable[dict]) -> set[str]:
    """Manifests of the data sets in the "trained_on" of rows, relative to the results root."""
    return {Results.dataset_file(name) for row in shown for name in row.get("trained_on") or []}


def training_flaws(shown: Iterable[dict], results: Results) -> list[str]:
    """Why models trained on these data sets say nothing of a published number: `STAND_IN`, …

    Args:
        shown: rows with "trained_on": [names of data sets], those of earlier trainings too, from
            whose weights a training started.
        results: of the run.
    """
    names = {name for row in shown for name in row.get("trained_on") or []}
    stand_in = any((results.dataset(name) or {}).get("stand_in") for name in names)
    lacking = any(is_complete({"dataset": name}, results) is False for name in names)
    return [STAND_IN] * stand_in + [INCOMPLETE] * (lacking and not stand_in)
