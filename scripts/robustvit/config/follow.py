"""Where the thesis and its released code differ: choosing a side, and showing both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from robustvit.config.merge import deep_merge

SIDES = ("code", "thesis")


def choose_side(entry: Mapping, side: str) -> dict:
    """Return `entry` without its `thesis` part, merged over the rest if that is the side."""
    own = dict(entry)
    thesis = own.pop("thesis", None)
    return deep_merge(own, thesis if side == "thesis" else None)


def find_differences(code: Mapping, thesis: Mapping, contradictions: list[Mapping]) -> list[dict]:
    """List every setting that the two sides have another value for.

    What an experiment has from its recipe is listed with the recipe only.

    Args:
        code: sections resolved with `follow: code`: models, recipes, experiments, semantics.
        thesis: the same with `follow: thesis`.
        contradictions: the configuration's `differences`.

    Returns:
        [{"where": "recipes.light", "key": "schedule.min_lr", "code": 1e-5, "thesis": 5e-5,
        "items": [1]}], where `items` are the contradictions that the setting belongs to.
    """
    found = []
    for section in ("models", "recipes", "semantics", "experiments"):
        for name, entry in code[section].items():
            other, where = thesis[section][name], f"{section}.{name}"
            inherited = _inherited(code, thesis, entry, section)
            for key, ours, theirs in unequal(entry, other):
                if (key, ours, theirs) in inherited:
                    continue
                items = _items(f"{where}.{key}", contradictions)
                sides = {"code": ours, "thesis": theirs}
                found.append({"where": where, "key": key, **sides, "items": items})
    return found


def _inherited(code: Mapping, thesis: Mapping, entry: Mapping, section: str) -> list:
    name = entry.get("recipe_name") if section == "experiments" else None
    if name is None:
        return []
    pairs = unequal(code["recipes"][name], thesis["recipes"][name])
    return [(f"recipe.{key}", ours, theirs) for key, ours, theirs in pairs]


def unequal(first: Mapping, second: Mapping, prefix: str = "") -> Iterator[tuple]:
    """Leaves of nested mappings that differ: ("schedule.min_lr", 1e-5, 5e-5), None if missing."""
    for key in [*first, *(key for key in second if key not in first)]:
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from unequal(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key}", one, other


def _items(path: str, contradictions: list[Mapping]) -> list[int]:
    return [
        entry["item"]
        for entry in contradictions
        if any(fnmatchcase(path, pattern) for pattern in entry.get("keys", []))
    ]
