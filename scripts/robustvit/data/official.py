"""What is known about the official archives: addresses, terms, sizes and hashes of their files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from robustvit.data.hashing import cached_digest, known_digest

FACTS_FILE = Path(__file__).with_name("official_archives.yaml")


@cache
def all_facts() -> dict[str, dict]:
    """Every entry of official_archives.yaml, by the name of the source."""
    return yaml.safe_load(FACTS_FILE.read_text(encoding="utf-8"))


def source_facts(source: str) -> dict:
    """The entry of a source; empty for a source of the user's own."""
    return all_facts().get(source, {})


def official_digest(source: str, role: str) -> tuple[str, str] | None:
    """(algorithm, digest) of the official file of a role, or None if none was published."""
    facts = source_facts(source).get("files", {}).get(role, {})
    return next(((name, facts[name]) for name in ("sha256", "md5") if name in facts), None)


def official_size(source: str, role: str) -> int | None:
    """Size in bytes of the official file of a role, or None if it is not known."""
    return source_facts(source).get("files", {}).get(role, {}).get("size")


def is_official(
    source: str, role: str, path: Path, notes: Path, *, read: bool = True
) -> bool | None:
    """Whether a file is the official one of its role.

    Args:
        source: for instance "imagenet".
        role: for instance "train".
        path: the file.
        notes: folder of remembered digests (see `cached_digest`).
        read: whether the file may be read for it; else only its size and remembered digests count.

    Returns:
        None if nothing is known to compare it with, or if it would have to be read.
    """
    expected, size = official_digest(source, role), official_size(source, role)
    if size is not None and path.stat().st_size != size:
        return False
    if expected is None:
        return None
    algorithm, digest = expected
    find = cached_digest if read else known_digest
    found = find(path, notes, algorithm)
    return None if found is None else found == digest
