"""Measure loss and accuracy under PGD of several numbers of steps, with several random starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.analysis.loss_jobs import NAMES, discard_parts, measure_losses
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json
from robustvit.evaluation.rows import write_rows
from robustvit.training.devices import open_device


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--dataset", required=True, type=Path, help="the data set's manifest.json")
    parser.add_argument("--weights", required=True, type=Path, help="the model's weights")
    parser.add_argument("--output-rows", required=True, type=Path, help="Parquet file of the rows")
    parser.add_argument("--output-summary", required=True, type=Path, help="JSON with the numbers")
    parser.add_argument("--work-dir", required=True, type=Path, help="folder of finished parts")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    return parser.parse_args()


def main() -> None:
    """Measure and write both files."""
    arguments = parse_arguments()
    spec, work = arguments.spec, arguments.work_dir
    device = open_device(arguments.device, arguments.threads)
    rows, summary = measure_losses(spec, arguments.dataset, arguments.weights, device, work)
    write_rows(arguments.output_rows, rows, {name: spec[name] for name in NAMES})
    write_json(arguments.output_summary, summary)
    discard_parts(spec, arguments.dataset, arguments.weights, work)


if __name__ == "__main__":
    run_cli(main)
