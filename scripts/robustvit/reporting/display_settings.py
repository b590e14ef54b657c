"""All settings of every experiment; what the experiments of a recipe share stands once."""

from __future__ import annotations

from robustvit.reporting.formatting import flatten


def display_settings(spec: dict) -> list[dict]:
    """Settings for the appendix.

    Returns:
        [{"label", "name", "of": "recipe" or "experiment", "pairs": [[key, value]]}]: each recipe is
        followed by its experiments, which show what is not the same in all of them.
    """
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for name, entry in (spec.get("experiments") or {}).items():
        if isinstance(entry, dict):
            pairs = dict(flatten({k: v for k, v in entry.items() if k != "label"}))
            groups.setdefault(str(entry.get("recipe_name") or ""), {})[name] = pairs
    return [block for recipe, own in groups.items() for block in _group(spec, recipe, own)]


def _group(spec: dict, recipe: str, own: dict[str, dict[str, str]]) -> list[dict]:
    shared = _shared(list(own.values())) if recipe and len(own) > 1 else {}
    experiments = spec["experiments"]
    blocks = [
        {
            "label": experiments[name].get("label") or name,
            "name": name,
            "of": "experiment",
            "pairs": [[key, value] for key, value in pairs.items() if key not in shared],
        }
        for name, pairs in own.items()
    ]
    if not shared:
        return blocks
    label = f"Shared by the {len(own)} experiments of recipe {recipe}"
    pairs = [[key, value] for key, value in shared.items()]
    return [{"label": label, "name": recipe, "of": "recipe", "pairs": pairs}, *blocks]


def _shared(settings: list[dict[str, str]]) -> dict[str, str]:
    """Pairs that are the same in all."""
    first, *others = settings
    return {k: v for k, v in first.items() if all(o.get(k) == v for o in others)}
