"""ImageNet's validation images alone, enough for RobustBench's 5,000; only from a mirror."""

from __future__ import annotations

from pathlib import Path

from robustvit.data.official_files import fetch_imagenet


def fetch(mirrors: list[str], folder: Path) -> None:
    """Check ILSVRC2012_img_val.tar of a mirror and write source.json into `folder`.

    Raises:
        UserError: if no mirror holds it, or if it is truncated.
    """
    fetch_imagenet("imagenet_val", mirrors, folder)
