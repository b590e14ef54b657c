"""Data files inside installed packages, found without importing the packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from robustvit.core.errors import UserError


def package_file(package: str, name: str) -> Path:
    """Path of the file `name` of an installed package (its import would cost seconds).

    Raises:
        UserError: if the package or the file is not installed.
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise UserError(
        f'the file "{name}" of the Python package "{package}" is missing: the environment is not '
        "complete. Make it again with `make env`."
    )
