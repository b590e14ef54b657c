"""Collect everything that a run found into one JSON file: the report's numbers, for machines.

Reads tables, evaluations, trainings, data sets and benchmarks under the results root; what was not
run yet is listed under "missing".
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json
from robustvit.reporting.ordering import restore_order
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results
from robustvit.reporting.summary import build_summary


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--published", type=Path, required=True, help="reports/published.csv")
    parser.add_argument("--output", type=Path, required=True, help="the summary, as JSON")
    return parser.parse_args()


def main() -> None:
    """Write the summary."""
    arguments = parse_arguments()
    published = Published.load(arguments.published)
    summary = build_summary(restore_order(arguments.spec), Results(arguments.root), published)
    write_json(arguments.output, summary)


if __name__ == "__main__":
    run_cli(main)
