"""Finding plug-ins (attacks, losses, model families, …) by the name the configuration uses."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from robustvit.core.errors import unknown_name


def available(package: str) -> list[str]:
    """Names of the plug-ins in `package`: its modules, without sub-packages and `_private` ones."""
    path = importlib.import_module(package).__path__
    modules = [module for module in pkgutil.iter_modules(path) if not module.ispkg]
    return sorted(module.name for module in modules if not module.name.startswith("_"))


@cache  # a plan asks for every experiment
def defines(package: str, name: str, function: str) -> bool:
    """Whether the plug-in `name` has a function of that name, found without importing it."""
    return any(
        isinstance(part, ast.FunctionDef) and part.name == function
        for part in _statements(package, name)
    )


@cache
def option_names(package: str, name: str) -> tuple[str, ...] | None:
    """The keys of the plug-in's `DEFAULTS`, found without importing it; None if it has none."""
    for part in _statements(package, name):
        targets = part.targets if isinstance(part, ast.Assign) else []
        if [getattr(target, "id", None) for target in targets] == ["DEFAULTS"]:
            return tuple(key.value for key in part.value.keys)
    return None


def _statements(package: str, name: str) -> list[ast.stmt]:
    places = (Path(folder, f"{name}.py") for folder in importlib.import_module(package).__path__)
    text = next(place.read_text(encoding="utf-8") for place in places if place.is_file())
    return ast.parse(text).body


def load(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `package`.

    The import happens by name so that a stage's list of source files holds only the plug-ins that
    its experiment uses: an edit in one loss does not retrain a model with another.

    Raises:
        UserError: if there is no such plug-in; the message lists those that exist.
    """
    if name not in available(package):
        raise unknown_name(package.rsplit(".", 1)[-1].rstrip("s"), name, available(package))
    return importlib.import_module(f"{package}.{name}")
