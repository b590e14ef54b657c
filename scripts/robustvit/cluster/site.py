"""The site file: everything that differs between SLURM clusters."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from robustvit.cluster.site_files import ROOT, SiteFile
from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError

FILE = SiteFile(
    kind="site file",
    shipped="profiles/slurm/site.yaml",
    schema="schemas/site.schema.yaml",
    variable="ROBUSTVIT_SITE",
    example="account: my-lab",
)
SHIPPED = ROOT / FILE.shipped
ACTIVE = "ROBUSTVIT_CLUSTER"  # set by a profile for a cluster, for all processes of the run

# Values of keys that a site file leaves out; the shipped file says the same to its reader.
DEFAULTS = {
    "account": None,
    "qos": None,
    "reservation": None,
    "partitions": {"gpu": None, "cpu": None},
    "max_hours": {"gpu": 24, "cpu": 24},
    "max_memory_gb": {"gpu": 250, "cpu": 250},
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


# Options that have a key of their own.
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
    "-A": "account",
    "-p": "partitions.gpu",
    "-t": "max_hours.gpu",
    "-C": "constraint",
}
# Options that would undo those with which a training saves in time and a log is continued.
UNDOING = ("--signal", "--open-mode", "--requeue", "--no-requeue")


def site_path() -> Path:
    """The site file: what ROBUSTVIT_SITE names, else the one in profiles/slurm."""
    return FILE.path()


@cache
def load_site(path: Path) -> dict:
    """Read and validate a site file; keys that it leaves out get their default.

    Raises:
        UserError: naming the file, the key, what was expected and an example.
    """
    site = deep_merge(DEFAULTS, FILE.read(path))
    if isinstance(memory := site["max_memory_gb"], (int, float)):
        site["max_memory_gb"] = {"gpu": memory, "cpu": memory}
    _check_together(site, path)
    return site


def _check_together(site: dict, path: Path) -> None:
    """What no single key shows."""
    warned, limit = site["training"]["warn_seconds"], site["max_hours"]["gpu"] * 3600
    if warned * 2 > limit:
        raise UserError(
            f"{path}: training.warn_seconds: {warned} is more than half of max_hours.gpu "
            f"({limit:.0f} s): trainings would do little but save. Example: warn_seconds: 300"
        )
    _check_extra(site["extra"], path)
    if site["gpu"]["type"] and site["gpu"]["request"] == "none":
        raise UserError(f"{path}: gpu.type: {site['gpu']['type']} needs gpu.request: gpus or gres.")


def _check_extra(extra: str, path: Path) -> None:
    """Refuse what has a key, or what the plug-in or this workflow sets itself."""
    for option in extra.split():
        name = option.partition("=")[0]
        if name in OWN_KEYS:
            raise UserError(f"{path}: extra: {option}: use the key {OWN_KEYS[name]} for that.")
        if name in UNDOING:
            raise UserError(f"{path}: extra: {option}: the workflow sets it itself. Leave it out.")
    if extra:
        # Not at the top: the workflow reads the site file wherever SLURM's plug-in is missing too.
        from snakemake_executor_plugin_slurm.validation import get_forbidden_slurm_options

        for pattern, meaning in get_forbidden_slurm_options().items():
            if found := re.search(rf"(?:^|\s)(?:{pattern})", f"{extra} "):
                raise UserError(
                    f"{path}: extra: {found[0].strip()}: Snakemake sets the {meaning} itself. "
                    "Leave it out."
                )
