"""Judge the report's claims by runs of several seeds, as JSON and as CSV.

Input: gathered evaluations and classifications of perturbations under the results root. A claim of
which a result is missing is "not run", never an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json, write_text
from robustvit.reporting.claims import claims_csv, judge_claims
from robustvit.reporting.results import Results


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--root", type=Path, required=True, help="results root: results/<name>")
    parser.add_argument("--output-json", type=Path, required=True, help="verdicts with all numbers")
    parser.add_argument("--output-csv", type=Path, required=True, help="a line per claim")
    return parser.parse_args()


def main() -> None:
    """Judge the claims and write the verdicts twice."""
    arguments = parse_arguments()
    judged = judge_claims(arguments.spec, Results(arguments.root))
    write_json(arguments.output_json, judged)
    write_text(arguments.output_csv, claims_csv(judged))


if __name__ == "__main__":
    run_cli(main)
