"""Which source files a program depends on: the files whose change must rerun its stage."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]


def code_inputs(script: str, plugins: Iterable[str] = ()) -> list[str]:
    """Return the script, its plug-ins and every package file they import, sorted.

    Snakemake notices a change of a declared input by its checksum, so these files as `input:` make
    an edit rerun the stage, and a `touch` or a fresh checkout rerun nothing.

    Args:
        script: file name below `scripts/`, for instance "train_model.py".
        plugins: modules that are loaded by name at run time and which no import shows, for
            instance "robustvit.training.losses.trades"; a name that ends in ".py" is a file of the
            user's own, of which the imported files beside it count too.

    Returns:
        Absolute paths.

    Raises:
        FileNotFoundError: if the script or a plug-in does not exist.
    """
    found: set[Path] = set()
    todo = [SCRIPTS / script, *(_module_file(name, required=True) for name in plugins)]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        todo.extend(_imported_files(path))
    return sorted(str(path) for path in found)


def code_digest(script: str, plugins: Iterable[str] = ()) -> str:
    """Hash the content of `code_inputs`: what was computed under another hash is another's.

    Returns:
        64 hexadecimal digits that do not depend on where the checkout lies.
    """
    digest = hashlib.sha256()
    for path in map(Path, code_inputs(script, plugins)):
        inside = path.is_relative_to(SCRIPTS)
        name = path.relative_to(SCRIPTS).as_posix() if inside else path.name
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


@cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    files = (_module_file(name) or _neighbour(path, name) for name in _imported_names(tree))
    return tuple(file for file in files if file is not None)


def _imported_names(tree: ast.AST) -> Iterable[str]:
    """Names of modules of this package that the tree imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            # `from package import module` imports a file too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _neighbour(path: Path, name: str) -> Path | None:
    """The file beside a user's file that it imports by this name."""
    neighbour = path.parent.joinpath(*name.split(".")).with_suffix(".py")
    return neighbour if not path.is_relative_to(SCRIPTS) and neighbour.is_file() else None


def _module_file(name: str, required: bool = False) -> Path | None:
    if required and name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return path
    if name.split(".")[0] != "robustvit":
        return None
    path = SCRIPTS.joinpath(*name.split(".")).with_suffix(".py")
    if path.exists():
        return path
    if required:
        raise FileNotFoundError(f"there is no plug-in file {path}")
    return None
