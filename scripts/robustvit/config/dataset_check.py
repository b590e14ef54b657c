"""What the check of the data sets is told, and the configuration read as Snakemake reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from robustvit.config.inputs import report_datasets
from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError
from robustvit.core.sources import SCRIPTS

ROOT = SCRIPTS.parent
KEYS = ("label", "source", "builder", "num_classes")


def check_spec(config: Mapping) -> dict:
    """Every data set of a resolved configuration, and which of them the report needs."""
    needed = set(report_datasets(config))
    return {
        "name": config["name"],
        "results": config["paths"]["results"],
        "root": f"{config['paths']['results']}/{config['name']}",
        "mirrors": list(config["paths"]["mirror"]),
        "stand_ins": config["stand_ins"],
        "datasets": {
            name: {key: entry[key] for key in KEYS}
            | {"options": entry.get("options", {}), "needed": name in needed}
            for name, entry in config["datasets"].items()
        },
    }


def read_configuration(files: Iterable[str | Path], root: Path = ROOT) -> dict:
    """Merge workflow_config.yaml and overlays, as `snakemake --configfile` does.

    Raises:
        UserError: if a file is not there or no YAML mapping.
    """
    return deep_merge(*(_read(path) for path in (root / "workflow_config.yaml", *files)))


def profile_files(name: str, root: Path = ROOT) -> list[Path]:
    """The overlays that a profile of this project names.

    Raises:
        UserError: if there is no such profile.
    """
    path = root / "profiles" / name / "config.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in root.glob("profiles/*/config.yaml")))
        raise UserError(f"--profile {name}: there is no {path}. Known: {known}.")
    return [root / file for file in _read(path).get("configfile", [])]


def _read(path: str | Path) -> dict:
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({error}).") from error
    if not isinstance(value, dict):
        raise UserError(f'{path}: expected settings such as "name: mine".')
    return value
