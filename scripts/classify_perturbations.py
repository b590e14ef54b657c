"""Classify perturbations with a model that had no part in making them: top-1 and top-5."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.analysis.classification import classify
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json
from robustvit.evaluation.rows import write_rows
from robustvit.training.devices import open_device


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument(
        "--perturbations", required=True, type=Path, help="manifest.json of the perturbation set"
    )
    parser.add_argument("--weights", required=True, type=Path, help="the classifier's weights")
    parser.add_argument("--output-rows", required=True, type=Path, help="Parquet file of the rows")
    parser.add_argument("--output-summary", required=True, type=Path, help="JSON with the numbers")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    return parser.parse_args()


def main() -> None:
    """Classify and write both files."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    rows, summary, names = classify(
        arguments.spec, arguments.perturbations, arguments.weights, device
    )
    write_rows(arguments.output_rows, rows, names)
    write_json(arguments.output_summary, summary)


if __name__ == "__main__":
    run_cli(main)
