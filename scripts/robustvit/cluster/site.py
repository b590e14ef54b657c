"""The site file: everything that differs between SLURM clusters."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from robustvit.config.merge import deep_merge
from robustvit.config.schema import describe
from robustvit.core.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "schemas" / "site.schema.yaml"
SHIPPED = ROOT / "profiles" / "slurm" / "site.yaml"
VARIABLE = "ROBUSTVIT_SITE"  # a user's
ACTIVE = "ROBUSTVIT_CLUSTER"  # set by a profile for a cluster, for all processes of the run

# Values of keys that a site file leaves out; the shipped file says the same to its reader.
DEFAULTS = {
    "account": None,
    "qos": None,
    "reservation": None,
    "partitions": {"gpu": None, "cpu": None},
    "max_hours": {"gpu": 24, "cpu": 24},
    "max_memory_gb": 250,
    "gpu": {"request": "gpus", "type": None, "device": "a100"},
    "constraint": None,
    "extra": "",
    "queue": {
        "jobs": 64,
        "per_minute": 60,
        "poll_seconds": 40,
        "shards_per_job": 4,
        "small_jobs": "here",
        "retries": 3,
        "latency_seconds": 60,
    },
    "training": {"warn_seconds": 300},
    "environment": {},
    "check": True,
}


# Options that have a key of their own; the plug-in refuses them in a job's further options.
OWN_KEYS = {
    "--account": "account",
    "--qos": "qos",
    "--reservation": "reservation",
    "--partition": "partitions.gpu",
    "--time": "max_hours.gpu",
    "--mem": "max_memory_gb",
    "--gres": "gpu.request",
    "--gpus": "gpu.request",
    "--constraint": "constraint",
}


def site_path() -> Path:
    """The site file: what ROBUSTVIT_SITE names, else the one in profiles/slurm."""
    return Path(os.environ.get(VARIABLE) or SHIPPED).expanduser()


@cache
def load_site(path: Path) -> dict:
    """Read and validate a site file; keys that it leaves out get their default.

    Raises:
        UserError: naming the file, the key, what was expected and an example.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(
            f"{path}: the site file cannot be read ({error.strerror}). {VARIABLE} names it; "
            "without that variable it is profiles/slurm/site.yaml."
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}. Example: account: my-lab") from error
    if not isinstance(given, dict):
        raise UserError(f"{path}: expected keys and values. Example: account: my-lab")
    _validate(given, path)
    site = deep_merge(DEFAULTS, given)
    _check_together(site, path)
    return site


def _validate(given: dict, path: Path) -> None:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    found = jsonschema.Draft202012Validator(schema).iter_errors(given)
    errors = sorted(found, key=lambda error: list(map(str, error.path)))
    if errors:
        lines = [line for error in errors[:5] for line in describe(error)]
        raise UserError(f"{path} is not valid:\n  " + "\n  ".join(lines))


def _check_together(site: dict, path: Path) -> None:
    """What no single key shows."""
    warned, limit = site["training"]["warn_seconds"], site["max_hours"]["gpu"] * 3600
    if warned * 2 > limit:
        raise UserError(
            f"{path}: training.warn_seconds: {warned} is more than half of max_hours.gpu "
            f"({limit:.0f} s): trainings would do little but save. Example: warn_seconds: 300"
        )
    for option in site["extra"].split():
        name = option.partition("=")[0]
        if name in OWN_KEYS:
            raise UserError(f"{path}: extra: {option}: use the key {OWN_KEYS[name]} for that.")
    if site["gpu"]["type"] and site["gpu"]["request"] == "none":
        raise UserError(f"{path}: gpu.type: {site['gpu']['type']} needs gpu.request: gpus or gres.")
