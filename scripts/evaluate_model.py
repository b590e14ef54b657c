"""Evaluate a model on one shard of a data set and write one Parquet row per example and attack."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.evaluation.batch_size import AUTO
from robustvit.evaluation.engine import discard_partial, evaluate_shard
from robustvit.evaluation.rows import write_rows
from robustvit.training.devices import open_device


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--dataset", required=True, type=Path, help="the data set's manifest.json")
    parser.add_argument("--weights", required=True, type=Path, help="the model's weights")
    parser.add_argument("--output", required=True, type=Path, help="Parquet file of the rows")
    parser.add_argument(
        "--work-dir", type=Path, help="folder for finished attacks, from which a killed job goes on"
    )
    parser.add_argument(
        "--batch-size",
        type=batch_size,
        default=AUTO,
        help='images at a time, or "auto"; no result depends on it',
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    return parser.parse_args()


def batch_size(value: str) -> int | str:
    """Read a number of images or "auto".

    Raises:
        ValueError: for anything else.
    """
    if value != AUTO and not (value.isdecimal() and int(value) > 0):
        raise ValueError(f'"{value}" is neither a number of images nor "auto"')
    return value if value == AUTO else int(value)


def main() -> None:
    """Evaluate and write the rows."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    spec = {**arguments.spec, "batch_size": arguments.batch_size}
    inputs = (spec, arguments.dataset, arguments.weights, device, arguments.work_dir)
    table, metadata = evaluate_shard(*inputs)
    write_rows(arguments.output, table, metadata)
    discard_partial(*inputs)


if __name__ == "__main__":
    run_cli(main)
