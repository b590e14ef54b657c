"""Caltech-101's official files: from a mirror, else from the addresses that TFDS keeps."""

from __future__ import annotations

from pathlib import Path

from robustvit.data.official_files import fetch_official


def fetch(mirrors: list[str], folder: Path) -> None:
    """Find or download the official files and write source.json into `folder`.

    Raises:
        UserError: if they are in no mirror and cannot be downloaded, or if one is truncated.
    """
    fetch_official("caltech101", mirrors, folder)
