"""Write an evaluation under AutoAttack as RobustBench's model-info JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import read_json, write_json
from robustvit.reporting.published import Published
from robustvit.reporting.robustbench import model_info


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--evaluation", required=True, type=Path, help="the gathered evaluation")
    parser.add_argument("--published", required=True, type=Path, help="reports/published.csv")
    parser.add_argument("--output", required=True, type=Path, help="the JSON for RobustBench")
    return parser.parse_args()


def main() -> None:
    """Write the file."""
    arguments = parse_arguments()
    key = arguments.spec["reported"]
    reported = Published.load(arguments.published).entry(key).value if key else None
    write_json(
        arguments.output,
        model_info(arguments.spec, read_json(arguments.evaluation), reported),
    )


if __name__ == "__main__":
    run_cli(main)
