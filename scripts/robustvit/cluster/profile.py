"""Snakemake's options for a cluster, from its site file (read by profiles/slurm/config.yaml)."""

from __future__ import annotations

import os

from robustvit.cluster.site import ACTIVE, load_site, site_path
from robustvit.cluster.site_files import load_or_exit

# The jobs of an experiment's evaluations share a group, of which so many shards make a SLURM job.
SHARDS = "shards-{experiment}"


def snakemake_options() -> dict:
    """Options by the names of Snakemake's command line, and variables for all its processes.

    A mistake in the site file ends the program with its message.
    """
    path = site_path()
    site = load_or_exit(load_site, path)
    # Absolute: jobs on other machines and the rules read the same file.
    os.environ[ACTIVE] = str(path.resolve())
    os.environ.update(site["environment"])
    return options(site)


def options(site: dict) -> dict:
    """The options that follow from a site."""
    queue = site["queue"]
    found = {
        "jobs": queue["jobs"],
        "max-jobs-per-timespan": f"{queue['per_minute']}/1m",
        "retries": queue["retries"],
        "latency-wait": queue["latency_seconds"],
        "slurm-robustvit-init-seconds-before-status-checks": queue["poll_seconds"],
        "default-resources": _defaults(site),
        "groups": {"evaluate_model": SHARDS},
        "group-components": {SHARDS: queue["shards_per_job"]},
    }
    if site["qos"]:
        found["slurm-robustvit-qos"] = site["qos"]
    if site["reservation"]:
        found["slurm-robustvit-reservation"] = site["reservation"]
    return found


def _defaults(site: dict) -> dict:
    # disk_mb as a number: Snakemake's own default sums up all input files of every job.
    found = {"mem_mb": 4000, "runtime": 60, "disk_mb": 1000}
    wanted = {"slurm_account": site["account"], "slurm_partition": site["partitions"]["cpu"]}
    wanted |= {"constraint": site["constraint"]}
    # A text that could be read as an expression (a-b) is quoted, which Snakemake evaluates.
    found |= {key: repr(value) for key, value in wanted.items() if value}
    return found
