"""Write the report of a run that goes on still or was stopped: what is there, what is missing.

Starts no other job. Writes <run>/now/ anew at each call and touches nothing else of the run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.reporting.partial import report_now
from robustvit.reporting.published import Published


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--published", type=Path, required=True, help="reports/published.csv")
    parser.add_argument("--assets", type=Path, required=True, help="folder of template and style")
    return parser.parse_args()


def main() -> None:
    """Write the report and say where it is."""
    a = parse_arguments()
    folder = report_now(a.spec, a.root, Published.load(a.published), a.assets)
    print(f"{folder / 'report.pdf'}, {folder / 'report.html'}")


if __name__ == "__main__":
    run_cli(main)
