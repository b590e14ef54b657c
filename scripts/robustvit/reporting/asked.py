"""Which results the settings of a report ask for, in the report's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def asked_evaluations(spec: Mapping) -> Iterator[tuple[str, str]]:
    """Experiment and protocol of every evaluation.

    Args:
        spec: the report's settings (see `robustvit.reporting.summary.build_summary`).
    """
    for name, entry in (spec.get("experiments") or {}).items():
        for protocol in entry.get("evaluate") or {}:
            yield name, protocol


def asked_perturbations(spec: Mapping) -> Iterator[tuple[str, str]]:
    """Analysis and generator of every set of perturbations."""
    for analysis in spec.get("semantics") or []:
        for generator in analysis["generators"]:
            yield analysis["name"], generator["experiment"]


def asked_classifications(spec: Mapping) -> Iterator[tuple[str, str, str]]:
    """Analysis, generator and classifier of every classification of perturbations."""
    for analysis in spec.get("semantics") or []:
        for generator in analysis["generators"]:
            for classifier in analysis["classifiers"]:
                yield analysis["name"], generator["experiment"], classifier["experiment"]
