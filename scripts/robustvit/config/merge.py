"""Merging nested settings: the later value wins, lists are replaced."""

from __future__ import annotations

import copy
from collections.abc import Mapping


def deep_merge(*layers: Mapping | None) -> dict:
    """Merge mappings from left to right into a new dict; nothing given is changed.

    Nested mappings are merged key by key. Every other value, lists included, replaces what an
    earlier layer had, as Snakemake does with several configuration files.
    """
    merged: dict = {}
    for layer in layers:
        for key, value in (layer or {}).items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = deep_merge(merged[key], value)
            else:
                merged[key] = copy.deepcopy(value)
    return merged
