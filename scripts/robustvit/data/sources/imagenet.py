"""ImageNet-1k: only from a mirror, since its licence has to be accepted by a person."""

from __future__ import annotations

from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.data.archives import MIRROR_EXAMPLE, OFFICIAL_NAMES
from robustvit.data.official_files import locate, write_located


def fetch(mirrors: list[str], folder: Path) -> None:
    """Check the two ILSVRC2012 archives of a mirror and write source.json into `folder`.

    Raises:
        UserError: if no mirror holds them, or if one is truncated.
    """
    found = locate("imagenet", mirrors, folder)
    if found is None:
        names = " and ".join(names[0] for names in OFFICIAL_NAMES["imagenet"].values())
        raise UserError(
            "ImageNet is in none of the folders of `paths.mirror`. Accept the terms on "
            f"image-net.org (page 'Download', ILSVRC2012), download {names}, put both into one "
            "folder, and name it in the configuration, for instance mirror/imagenet/ with "
            f"{MIRROR_EXAMPLE}."
        )
    write_located("imagenet", found, folder)
