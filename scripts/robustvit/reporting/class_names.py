"""Class names as people read them: "tree frog" for the synset n01644373."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

SYNSET = re.compile(r"n\d{8}")


def readable(name: str) -> str:
    """Return the first English word of a WordNet synset, or `name` itself if it is none."""
    if not SYNSET.fullmatch(name):
        return name
    return _lemmas().get(name, name)


def place_of(name: str, classes: Sequence[str]) -> int | None:
    """Place of a class by its own name or, for a synset, by its first English word.

    Returns:
        The place in `classes`; None if no class has the name, or several have that word.
    """
    if name in classes:
        return list(classes).index(name)
    wanted = name.casefold().replace("_", " ")
    found = [i for i, own in enumerate(classes) if readable(str(own)).casefold() == wanted]
    return found[0] if len(found) == 1 else None


@cache
def _lemmas() -> dict[str, str]:
    """Synset to first lemma, from the list inside timm, which is not imported for it (seconds)."""
    package = importlib.util.find_spec("timm")
    if package is None or not package.submodule_search_locations:
        return {}
    folder = Path(package.submodule_search_locations[0])
    path = folder / "data" / "_info" / "imagenet_synset_to_lemma.txt"
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {synset: words.split(",")[0].strip() for synset, words in pairs}
