"""Write Snakemake's own report: figures, PDF, run times and the code of every rule, in one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import run_cli
from robustvit.core.files import atomic_path
from robustvit.reporting.nested import ask_snakemake


def main() -> None:
    """Ask Snakemake for the report of what `--target` was made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--target", required=True, nargs="+", help="the files that the report is about"
    )
    parser.add_argument("--output", required=True, type=Path, help="the report, as one HTML file")
    arguments = parser.parse_args()
    with atomic_path(arguments.output) as temporary:
        ask_snakemake("--report", str(temporary), "--", *arguments.target)


if __name__ == "__main__":
    run_cli(main)
