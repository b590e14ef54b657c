"""Write one table of results beside published numbers, as JSON, CSV and LaTeX.

Input: gathered evaluations (or classifications of perturbations) under the results root.
A result that was not run yet becomes "not run", never an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json, write_text
from robustvit.reporting.latex import table_tex
from robustvit.reporting.published import Published
from robustvit.reporting.results import Results
from robustvit.reporting.table import build_table, table_csv


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--published", type=Path, required=True, help="reports/published.csv")
    parser.add_argument("--output-json", type=Path, required=True, help="the table with all parts")
    parser.add_argument("--output-csv", type=Path, required=True, help="the table, a line per cell")
    parser.add_argument("--output-tex", type=Path, required=True, help="the table with booktabs")
    return parser.parse_args()


def main() -> None:
    """Build the table and write it three times."""
    arguments = parse_arguments()
    published = Published.load(arguments.published)
    table = build_table(arguments.spec, Results(arguments.root), published)
    write_json(arguments.output_json, table)
    write_text(arguments.output_csv, table_csv(table))
    write_text(arguments.output_tex, table_tex(table))


if __name__ == "__main__":
    run_cli(main)
