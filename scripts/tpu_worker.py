#!/usr/bin/env python3
"""Start, look at or stop a job of the workflow on a worker of a TPU VM.

`snakemake --profile tpu-fleet` calls it over ssh; it runs in the checkout on the worker.
"""

from __future__ import annotations

import argparse

from robustvit.cluster.tpu import worker
from robustvit.core.cli import run_cli


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("start", "status", "stop", "run"))
    parser.add_argument("--id", required=True, help="the job's id")
    parser.add_argument("--bucket", help="address of the bucket (start, run)")
    return parser.parse_args()


def main() -> int:
    """Do what was asked for and tell the state of the job."""
    arguments = parse_arguments()
    if arguments.action == "run":
        return worker.run(arguments.bucket, arguments.id)
    if arguments.action == "start":
        worker.tell(worker.start(arguments.bucket, arguments.id))
    elif arguments.action == "stop":
        worker.tell(worker.stop(arguments.id))
    else:
        worker.tell(worker.status(arguments.id))
    return 0


if __name__ == "__main__":
    run_cli(main)
