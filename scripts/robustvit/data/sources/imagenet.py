"""ImageNet-1k: only from a mirror, since its licence has to be accepted by a person."""

from __future__ import annotations

from pathlib import Path

from robustvit.data.official_files import fetch_imagenet


def fetch(mirrors: list[str], folder: Path) -> None:
    """Check the two ILSVRC2012 archives of a mirror and write source.json into `folder`.

    Raises:
        UserError: if no mirror holds them, or if one is truncated.
    """
    fetch_imagenet("imagenet", mirrors, folder)
