"""Snakemake's options for a fleet, from its file (read by profiles/tpu-fleet/config.yaml)."""

from __future__ import annotations

import os

from robustvit.cluster.site_files import load_or_exit
from robustvit.cluster.tpu.fleet_site import ACTIVE, load_fleet, site_path


def snakemake_options() -> dict:
    """Options by the names of Snakemake's command line.

    A mistake in the fleet file ends the program with its message.
    """
    path = site_path()
    site = load_or_exit(load_fleet, path)
    os.environ[ACTIVE] = str(path.resolve())
    return {
        "tpu-fleet-site": str(path.resolve()),
        "jobs": len(site["vms"]),
        "retries": site["retries"],
        # Evaluations share this machine's GPU in turn.
        "resources": {"tpu": len(site["vms"]), "gpu": 1},
        # disk_mb as a number: Snakemake's own default sums up all input files of every job.
        "default-resources": {"mem_mb": 4000, "disk_mb": 1000},
    }
