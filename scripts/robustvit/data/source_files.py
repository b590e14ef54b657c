"""`source.json`: which original (or stand-in) archives a data set is built from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import read_json, sha256, write_json
from robustvit.data.hashing import cached_digest
from robustvit.data.official import is_official

DOWNLOADS, HASHES = "downloads", "hashes"


def downloads_folder(folder: Path, source: str) -> Path:
    """Where fetched archives stay: beside the sources' own folders, which are replaced as a whole.

    Args:
        folder: the folder of the source's source.json.
        source: its name.
    """
    return folder.parent / DOWNLOADS / source


def remove_empty_downloads(folder: Path, source: str) -> None:
    """Remove the folder of downloads if nothing came; arguments as in `downloads_folder`."""
    own = downloads_folder(folder, source)
    with contextlib.suppress(OSError):  # there is something in it, or it was never made
        own.rmdir()
        own.parent.rmdir()


def notes_folder(folder: Path) -> Path:
    """Where the digests of archives are remembered; `folder` as in `downloads_folder`."""
    return folder.parent / HASHES


def write_source(
    path: Path,
    source: str,
    files: dict[str, Path],
    origin: str,
    detail: str = "",
    official: bool | None = None,
) -> None:
    """Write `source.json` with the files' paths, sizes and SHA-256.

    Paths inside the folder of `path` or of the downloads beside it are written relative to it, so
    the folder of all sources can be moved. `official` says of each file whether it is the official
    one (null: nothing is known to compare it with).

    Args:
        path: the `source.json` to write, in the folder in which the files are now.
        source: its name, for instance "cifar10".
        files: role → file.
        origin: "mirror", "download", "npm" or "stand-in".
        detail: one sentence for the report on where the files come from.
        official: what is known already of files that were made from the official ones.
    """
    folder, stand_in = path.parent.resolve(), origin == "stand-in"
    # One file may have two roles.
    hashes = {file: _digest(file, folder) for file in set(files.values())}
    match = {
        role: official if stand_in or official is not None else _match(source, role, file, folder)
        for role, file in files.items()
    }
    value = {
        "source": source,
        "files": {role: _written_path(file, folder) for role, file in files.items()},
        "sha256": {role: hashes[file] for role, file in files.items()},
        "size": {role: file.stat().st_size for role, file in files.items()},
        "official": match,
        "complete": _all(match.values()),
        "stand_in": stand_in,
        "origin": origin,
        "detail": detail,
    }
    write_json(path, value)


def _digest(file: Path, folder: Path) -> str:
    """Only files that stay are remembered: this source's own folder is a temporary one."""
    inside = file.resolve().is_relative_to(folder)
    return sha256(file) if inside else cached_digest(file, notes_folder(folder))


def _match(source: str, role: str, file: Path, folder: Path) -> bool | None:
    return is_official(source, role, file, notes_folder(folder))


def _all(matches: Iterable[bool | None]) -> bool | None:
    """Whether every file is official; None if that is not known of one and none is another file."""
    matches = list(matches)
    return False if False in matches else None if None in matches else True


def _written_path(file: Path, folder: Path) -> str:
    file = file.resolve()
    movable = (folder, folder.parent / DOWNLOADS)
    inside = any(file.is_relative_to(place) for place in movable)
    return os.path.relpath(file, folder) if inside else str(file)


def read_source(path: str | Path) -> dict:
    """Read `source.json`; `files` holds `Path`s that exist.

    Raises:
        UserError: if one of the files is no longer there.
    """
    path = Path(path)
    value = read_json(path)
    value["files"] = {role: path.parent / name for role, name in value["files"].items()}
    for role, file in value["files"].items():
        if not file.exists():  # a user's own images may be a folder
            raise UserError(
                f"{path}: the {role} file {file} is not there any more. Put it back, or delete "
                f"{path} so that the source is looked for again."
            )
    return value
