"""Models that a function of the user's own builds: `my_models.py:build`. No torch here.

The workflow asks this module which files of the user such a model depends on, and whether the
function exists, before any job starts.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from robustvit.core.errors import UserError, unknown_name

FAMILIES = "robustvit.models.families"
FAMILY = "python"
EXAMPLE = '"my_models.py:build" or "package.module:function"'


def model_plugins(model: Mapping) -> list[str]:
    """Everything that is loaded by name for a model: its family's module, and the user's file.

    Args:
        model: MODEL, or an entry of `models`; only `family` and `args` are read.

    Raises:
        UserError: for an entry point that is not understood.
    """
    modules = [f"{FAMILIES}.{model['family']}"]
    if model["family"] != FAMILY:
        return modules
    place, _ = split_entry((model.get("args") or {}).get("entry"))
    file = _own_file(place)
    return [*modules, str(file)] if file else modules


def _own_file(place: str) -> Path | None:
    """The file of the user that a place names; None for an installed package."""
    if place.endswith(".py"):
        return Path(place)
    local = Path(*place.split(".")).with_suffix(".py")
    return local if local.is_file() else None


def split_entry(entry: object, where: str = "args.entry") -> tuple[str, str]:
    """Split "my_models.py:build" into place and name.

    Raises:
        UserError: unless it has both.
    """
    place, _, name = str(entry or "").rpartition(":")
    if not place or not name.isidentifier():
        raise UserError(f"{where}: {entry!r} names no function; expected {EXAMPLE}")
    return place, name


def check_entry(entry: object, where: str) -> None:
    """Check that an entry point exists, as far as that can be seen without running its code.

    Raises:
        UserError: for a file, package or function that is not there, with the nearest name.
    """
    place, name = split_entry(entry, where)
    path = _own_file(place)
    if path is None:
        package = place.split(".")[0]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise UserError(
                f"{where}: there is no package {package}, neither installed nor in {Path.cwd()}; "
                f"expected {EXAMPLE}"
            )
        return
    if not path.is_file():
        raise UserError(
            f"{where}: there is no file {place} in {Path.cwd()}. Expected {EXAMPLE}, with paths "
            "from the folder that the command is run in"
        )
    defined = _defined_names(path, where)
    if name not in defined:
        raise unknown_name(f"function of {place}", name, defined, where)


def _defined_names(path: Path, where: str) -> set[str]:
    """Names that a file defines or imports at its top level."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise UserError(f"{where}: {path} is not valid Python: {error}") from error
    found: set[str] = set()
    for part in tree.body:
        if isinstance(part, ast.FunctionDef | ast.ClassDef):
            found.add(part.name)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in part.names}
        elif isinstance(part, ast.Assign):
            found |= {node.id for node in part.targets if isinstance(node, ast.Name)}
    return found


def load_entry(entry: str) -> object:
    """Import what an entry point names; this runs the user's code.

    A file's own folder is searched for what it imports, as for a script.

    Raises:
        UserError: if there is no such file, module or name.
    """
    check_entry(entry, "args.entry")
    place, name = split_entry(entry)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    if not hasattr(module, name):
        raise unknown_name(f"function of {place}", name, vars(module), "args.entry")
    return getattr(module, name)


def _load_file(path: Path) -> object:
    _search(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _load_module(name: str) -> object:
    _search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise UserError(f"args.entry: there is no module {name}; expected {EXAMPLE}") from error
