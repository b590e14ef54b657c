"""Draw one figure and write it as PDF, SVG and PNG, with alternative text and data as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.reporting.figure import make_figure


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument(
        "--output-stem", type=Path, required=True, help="R/figures/<name>, without a suffix"
    )
    return parser.parse_args()


def main() -> None:
    """Draw the figure."""
    arguments = parse_arguments()
    make_figure(arguments.spec, arguments.root, arguments.output_stem)


if __name__ == "__main__":
    run_cli(main)
