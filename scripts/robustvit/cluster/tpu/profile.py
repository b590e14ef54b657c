"""Snakemake's options for a fleet, from its file (read by profiles/tpu-fleet/config.yaml)."""

from __future__ import annotations

import os
import sys

from robustvit.cluster.tpu.fleet_site import ACTIVE, load_fleet, site_path
from robustvit.core.errors import UserError


def snakemake_options() -> dict:
    """Options by the names of Snakemake's command line.

    A mistake in the fleet file ends the program with its message: Snakemake would wrap an exception
    from a profile into three others.
    """
    path = site_path()
    try:
        site = load_fleet(path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
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
