"""Synthetic CIFAR-10 images of Sehwag et al. (2021): only from a mirror."""

from __future__ import annotations

from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.data.archives import OFFICIAL_NAMES
from robustvit.data.official_files import locate
from robustvit.data.source_files import write_source


def fetch(mirrors: list[str], folder: Path) -> None:
    """Find the images in a mirror and write source.json into `folder`.

    Raises:
        UserError: if no mirror holds them.
    """
    found = locate("cifar_ddpm", mirrors, folder)
    if found is None:
        pairs = zip(*OFFICIAL_NAMES["cifar_ddpm"].values(), strict=True)
        names = "; or ".join(" and ".join(dict.fromkeys(pair)) for pair in pairs)
        raise UserError(
            f"the synthetic CIFAR-10 images are in none of the folders {', '.join(mirrors)}. Put "
            f"them into mirror/cifar_ddpm/ as {names}: images uint8 [N, 32, 32, 3] (the .bin holds "
            "their bare bytes), labels [N]; in the .npz the arrays `image` and `label`."
        )
    write_source(folder / "source.json", "cifar_ddpm", found.files, found.origin, found.detail)
