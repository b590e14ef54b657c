"""Whose weights an experiment starts from, and what these were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def with_parents(config: Mapping, names: Iterable[str]) -> list[str]:
    """The experiments and those whose weights they start from, each once, parents first."""
    found: dict[str, None] = {}
    for name in names:
        chain = [name]
        while (source := _source_experiment(config, chain[-1])) is not None:
            chain.append(source)
        found.update(dict.fromkeys(reversed(chain)))
    return list(found)


def _source_experiment(config: Mapping, name: str) -> str | None:
    entry = config["experiments"][name]
    return (entry["init"] or entry["weights"] or {}).get("experiment")


def trained_on(config: Mapping, name: str) -> list[str]:
    """Data sets of the experiment's training and of those whose weights it started from."""
    found: dict[str, None] = {}
    for member in with_parents(config, [name]):
        entry = config["experiments"][member]
        if entry["recipe"]:
            used = (entry["dataset"], (entry["synthetic"] or {}).get("dataset"))
            found.update(dict.fromkeys(filter(None, used)))
    return list(found)
