"""`source.json`: which original (or stand-in) archives a data set is built from."""

from __future__ import annotations

from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import read_json, sha256, write_json


def write_source(
    path: Path, source: str, files: dict[str, Path], origin: str, detail: str = ""
) -> None:
    """Write `source.json` with the files' paths and SHA-256.

    Paths inside the folder of `path` are written relative to it, so the folder can be moved.

    Args:
        path: the `source.json` to write, in the folder in which the files are now.
        source: its name, for instance "cifar10".
        files: role → file.
        origin: "mirror", "download", "npm" or "stand-in".
        detail: one sentence for the report on where the files come from.
    """
    folder = path.parent.resolve()
    hashes = {file: sha256(file) for file in set(files.values())}  # one file may have two roles
    value = {
        "source": source,
        "files": {role: _written_path(file, folder) for role, file in files.items()},
        "sha256": {role: hashes[file] for role, file in files.items()},
        "stand_in": origin == "stand-in",
        "origin": origin,
        "detail": detail,
    }
    write_json(path, value)


def _written_path(file: Path, folder: Path) -> str:
    file = file.resolve()
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


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
