"""Data sets whose official archives may be downloaded by a program."""

from __future__ import annotations

from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.data.archives import (
    MIRROR_EXAMPLE,
    OFFICIAL_NAMES,
    check_archive,
    find_in_mirrors,
)
from robustvit.data.download import DownloadError, download, official_downloads
from robustvit.data.source_files import write_source


def fetch_official(source: str, mirrors: list[str], folder: Path) -> None:
    """Take the files of `source` from a mirror, else download them; write source.json.

    Raises:
        UserError: if neither works, or if an archive is truncated.
    """
    found = find_in_mirrors(source, mirrors)
    if found is not None:
        origin, detail = "mirror", str(next(iter(found.values())).parent)
    else:
        found = _download_all(source, folder)
        origin, detail = "download", "downloaded from the addresses that TFDS keeps"
    for path in found.values():
        check_archive(path)
    write_source(folder / "source.json", source, found, origin, detail)


def _download_all(source: str, folder: Path) -> dict[str, Path]:
    addresses = official_downloads(source)
    paths = {}
    for role, names in OFFICIAL_NAMES[source].items():
        url, digest = addresses[names[0]]
        paths[role] = folder / names[0]
        try:
            download(url, paths[role], digest=digest)
        except DownloadError as error:
            raise _offline(source, error) from error
    return paths


def _offline(source: str, error: DownloadError) -> UserError:
    names = ", ".join(names[0] for names in OFFICIAL_NAMES[source].values())
    return UserError(
        f"{source} is in none of the folders of `paths.mirror` and could not be downloaded "
        f"({error}). Without a network: put {names} into a folder that the configuration names, "
        f"for instance mirror/{source}/ with {MIRROR_EXAMPLE}, and start again."
    )
