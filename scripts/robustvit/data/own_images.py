"""A user's own images as a source: a folder, zip or tar in a mirror that has the source's name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robustvit.core.errors import UserError, nearest
from robustvit.core.files import write_json
from robustvit.core.plugins import available
from robustvit.data.archives import check_archive
from robustvit.data.members import listing_hash
from robustvit.data.mirrors import local_folders
from robustvit.data.source_files import write_source

SOURCES = "robustvit.data.sources"
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


def is_plugin(source: str) -> bool:
    """Whether a source has a plug-in of its own; any other name is that of a user's images."""
    return source in available(SOURCES)


def find_own(source: str, mirrors: Iterable[str | Path]) -> Path | None:
    """`<mirror>/<source>.zip` (or another way of packing), else the folder `<mirror>/<source>`.

    The first mirror that has one wins. A folder that holds one archive only is that archive.
    """
    for mirror in local_folders(mirrors):
        packed = [mirror / f"{source}{suffix}" for suffix in PACKED]
        found = next((path for path in packed if path.is_file()), None)
        if found is None and (mirror / source).is_dir():
            inside = list((mirror / source).iterdir())
            found = inside[0] if len(inside) == 1 and _is_packed(inside[0]) else mirror / source
        if found is not None:
            return found.resolve()
    return None


def _is_packed(path: Path) -> bool:
    return path.is_file() and path.name.endswith(PACKED)


def describe_own(source: str, mirrors: Iterable[str | Path]) -> dict:
    """What a fetch of the source depends on, as `archives.describe_in_mirrors` says it.

    The size of a folder counts its folders, and its time is that of the newest of them, two levels
    deep: a file that comes or goes changes it.
    """
    path = find_own(source, mirrors)
    if path is None:
        return {"mirrors": [str(mirror) for mirror in mirrors], "files": {}}
    size, time = path.stat().st_size, path.stat().st_mtime_ns
    if path.is_dir():
        folders = [path, *(each for each in (*path.glob("*"), *path.glob("*/*")) if each.is_dir())]
        size, time = len(folders), max(each.stat().st_mtime_ns for each in folders)
    return {"mirrors": [str(path.parent)], "files": {"archive": [str(path), size, time]}}


def fetch_own(source: str, mirrors: list[str], folder: Path) -> None:
    """Find the images and write source.json into `folder`.

    Raises:
        UserError: if no mirror has them, or if the archive is damaged or hostile.
    """
    path = find_own(source, mirrors)
    if path is None:
        raise UserError(
            f'unknown source "{source}".{nearest(source, available(SOURCES))} For images of your '
            f"own put {source}.zip, {source}.tar or a folder {source} into one of the folders of "
            f"`paths.mirror` ({', '.join(mirrors) or 'none'})."
        )
    if path.is_file():
        check_archive(path)
        write_source(folder / "source.json", source, {"archive": path}, "mirror", str(path))
        return
    value = {
        "source": source,
        "files": {"archive": str(path)},
        "sha256": {"archive": listing_hash(path)},
        "stand_in": False,
        "origin": "mirror",
        "detail": f"{path}; the hash is of its files' names and sizes",
    }
    write_json(folder / "source.json", value)
