"""Compare classifications of perturbations: pairs of generators by a test, controls with chance."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.analysis.comparison import compare
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument(
        "--folder",
        required=True,
        type=Path,
        help="holds <generator>/<classifier>.parquet and .json",
    )
    parser.add_argument("--output", required=True, type=Path, help="JSON with the comparisons")
    return parser.parse_args()


def main() -> None:
    """Compare and write."""
    arguments = parse_arguments()
    write_json(arguments.output, compare(arguments.spec, arguments.folder))


if __name__ == "__main__":
    run_cli(main)
