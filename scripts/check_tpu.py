#!/usr/bin/env python3
"""Say whether the fleet file fits the cloud project and the bucket; nothing is made.

Run it on the machine that will drive the TPU VMs. `snakemake --profile tpu-fleet` checks the same
before its first job.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.cluster.tpu.checks import check_fleet
from robustvit.cluster.tpu.fleet_site import load_fleet, site_path
from robustvit.core.cli import run_cli


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--site",
        type=Path,
        help="fleet file (default: $ROBUSTVIT_FLEET_SITE, profiles/tpu-fleet/site.yaml)",
    )
    return parser.parse_args()


def main() -> None:
    """Check, and say what is there."""
    path = parse_arguments().site or site_path()
    check_fleet(load_fleet(path), print)
    print(f"{path} fits: logged in, type and image known, bucket writable.")


if __name__ == "__main__":
    run_cli(main)
