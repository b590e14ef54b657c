"""Whose weights are those of the epoch that did best on evaluation images, which favours them."""

from __future__ import annotations

from collections.abc import Iterable

from robustvit.reporting.formatting import sentence_list

CHOSEN = "‡"  # beside a number that is measured on images which had a part in choosing the weights
WORDS = {
    "test": "best epoch on evaluation images",
    "holdout": "best epoch on held-out training images",
    "last": "last epoch",
}


def selection_of(experiment: str | None, spec: dict) -> str | None:
    """How the epoch of the weights that an experiment evaluates was chosen; None if nobody did.

    Args:
        experiment: its name; one that trains nothing is followed to the weights' own.
        spec: the report's settings.
    """
    entry = trained(experiment, spec)
    return entry["recipe"].get("selection") if entry else None


def trained(experiment: str | None, spec: dict) -> dict | None:
    """The settings of the experiment whose weights `experiment` evaluates."""
    entry = (spec.get("experiments") or {}).get(experiment) or {}
    owner = (entry.get("weights") or {}).get("experiment")
    if entry.get("recipe"):
        return entry
    return trained(owner, spec) if owner and owner != experiment else None


def images_of_choice(experiments: Iterable[str], spec: dict) -> str:
    """The images that chose these experiments' weights, in words."""
    entries = [trained(name, spec) for name in experiments]
    names = dict.fromkeys(entry.get("monitor_dataset") for entry in entries)
    if all(e.get("monitor_dataset") in (None, e.get("eval_dataset")) for e in entries):
        return "the evaluation split itself"
    datasets = spec.get("datasets") or {}
    labels = [datasets.get(name, {}).get("label", name) for name in names if name]
    return f"the evaluation split of {sentence_list(labels)}"
