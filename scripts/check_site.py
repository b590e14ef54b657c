#!/usr/bin/env python3
"""Say whether the site file fits this SLURM cluster, and show what the cluster has.

Run it on a login node, after `make env`. `snakemake --profile slurm` checks the same before its
first job; nothing is submitted by either check.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

import yaml

from robustvit.cluster.checks import check_site, config_requests
from robustvit.cluster.site import load_site, site_path
from robustvit.cluster.slurm import NoAnswer, Partition, partitions
from robustvit.config.merge import deep_merge
from robustvit.config.resolve import resolve
from robustvit.core.cli import run_cli


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--site", type=Path, help="site file (default: $ROBUSTVIT_SITE, profiles/slurm/site.yaml)"
    )
    parser.add_argument(
        "--configfile", type=Path, nargs="*", default=[], help="overlays over workflow_config.yaml"
    )
    return parser.parse_args()


def describe(partition: Partition) -> str:
    """One line on a partition."""
    limit = partition.max_minutes
    hours = "no limit" if limit is None else f"{limit / 60:g} h"
    gpus = sorted(
        {f"{n}× {kind or 'GPU'}" for node in partition.nodes for kind, n in node.gpus.items()}
    )
    memory = max(node.memory_mb for node in partition.nodes) / 1000
    usable = sum(node.usable for node in partition.nodes)
    return (
        f"  {partition.name}{' (default)' if partition.default else ''}: {usable} of "
        f"{len(partition.nodes)} nodes usable, {hours}, {memory:g} GB, "
        f"{', '.join(gpus) or 'no GPUs'}"
    )


def main() -> None:
    """Show the partitions, then check."""
    arguments = parse_arguments()
    path = arguments.site or site_path()
    site = load_site(path)
    with contextlib.suppress(NoAnswer):  # the check says it, and what to do
        print("This cluster's partitions:", *map(describe, partitions().values()), sep="\n")
    files = [Path("workflow_config.yaml"), *arguments.configfile]
    config = resolve(deep_merge(*(yaml.safe_load(file.read_text("utf-8")) for file in files)))
    for warning in check_site(site, config_requests(config, site), os.getcwd()):
        print(f"warning: {warning}")
    print(f"{path} fits this cluster.")


if __name__ == "__main__":
    run_cli(main)
