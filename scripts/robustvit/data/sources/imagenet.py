"""ImageNet-1k: only from a mirror, since its licence has to be accepted by a person."""

from __future__ import annotations

from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.data.archives import (
    MIRROR_EXAMPLE,
    OFFICIAL_NAMES,
    check_archive,
    find_in_mirrors,
)
from robustvit.data.source_files import write_source


def fetch(mirrors: list[str], folder: Path) -> None:
    """Check the two ILSVRC2012 archives of a mirror and write source.json into `folder`.

    Raises:
        UserError: if no mirror holds them, or if one is truncated.
    """
    found = find_in_mirrors("imagenet", mirrors)
    if found is None:
        names = " and ".join(names[0] for names in OFFICIAL_NAMES["imagenet"].values())
        raise UserError(
            "ImageNet is in none of the folders of `paths.mirror`. Accept the terms on "
            f"image-net.org (page 'Download', ILSVRC2012), download {names}, put both into one "
            "folder, and name it in the configuration, for instance mirror/imagenet/ with "
            f"{MIRROR_EXAMPLE}."
        )
    for path in found.values():
        check_archive(path)
    write_source(folder / "source.json", "imagenet", found, "mirror", str(found["train"].parent))
