"""All settings of every experiment: in full for a few, what differs from these for the others."""

from __future__ import annotations

from robustvit.reporting.formatting import flatten

FEWER = 0.2  # an experiment shows its differences if they are less than this share of its settings


def display_settings(spec: dict) -> list[dict]:
    """Settings for the appendix, in the order of the experiments.

    Returns:
        [{"label", "name", "like": name of the experiment it is compared with or None, "pairs":
        [[key, value]]}].
    """
    full: dict[str, dict[str, str]] = {}
    blocks = []
    for name, entry in (spec.get("experiments") or {}).items():
        if isinstance(entry, dict):
            pairs = _pairs(name, entry)
            like = nearest_settings(pairs, full)
            if like is None:
                full[name] = pairs
            shown = pairs if like is None else changes(pairs, full[like])
            listed = [[key, value] for key, value in shown.items()]
            label = entry.get("label") or name
            blocks.append({"label": label, "name": name, "like": like, "pairs": listed})
    return blocks


def _pairs(name: str, entry: dict) -> dict[str, str]:
    """Every setting but the label, and that an experiment evaluates its own weights."""
    pairs = flatten({k: v for k, v in entry.items() if k != "label"})
    return {key: value for key, value in pairs if (key, value) != ("weights.experiment", name)}


def nearest_settings(pairs: dict[str, str], full: dict[str, dict[str, str]]) -> str | None:
    """The name in `full` whose settings differ the least; None if all differ much."""
    distances = {name: len(changes(pairs, other)) for name, other in full.items()}
    best = min(distances, key=distances.get, default=None)
    return best if best and distances[best] < FEWER * len(pairs) else None


def changes(pairs: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """What is not as in `other`; a key that only `other` has is "none"."""
    gone = {key: "none" for key in other if key not in pairs and other[key] != "none"}
    return {k: v for k, v in pairs.items() if v != other.get(k, "none")} | gone
