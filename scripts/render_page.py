"""Write the report of a run as one accessible web page that works from the disk.

It says what the PDF says; tables can be sorted and figures opened large. What was not run yet is
named in the page and never an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.reporting.ordering import restore_order
from robustvit.reporting.web.page import write_page


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--summary", type=Path, required=True, help="R/summary.json")
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--style", type=Path, required=True, help="reports/report.css")
    parser.add_argument("--script", type=Path, required=True, help="reports/report.js")
    parser.add_argument("--output", type=Path, required=True, help="the page, as HTML")
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    a = parse_arguments()
    write_page(restore_order(a.spec), a.summary, a.root, a.style, a.script, a.output)


if __name__ == "__main__":
    run_cli(main)
