"""Set the report of a run as a PDF with Typst, from its summary and its figures.

What was not run yet is named in the report and never an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.reporting.ordering import restore_order
from robustvit.reporting.report import render_report


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--summary", type=Path, required=True, help="R/summary.json")
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--template", type=Path, required=True, help="reports/report.typ")
    parser.add_argument("--output", type=Path, required=True, help="the report, as PDF")
    return parser.parse_args()


def main() -> None:
    """Render the report."""
    a = parse_arguments()
    render_report(restore_order(a.spec), a.summary, a.root, a.template, a.output)


if __name__ == "__main__":
    run_cli(main)
