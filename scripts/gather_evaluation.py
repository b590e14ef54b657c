"""Join the shards of an evaluation into its rows and a summary with 95% intervals."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json
from robustvit.evaluation.gather import gather
from robustvit.evaluation.rows import write_rows


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--output-rows", required=True, type=Path, help="Parquet file of all rows")
    parser.add_argument("--output-summary", required=True, type=Path, help="JSON with the numbers")
    parser.add_argument("shards", nargs="+", type=Path, help="Parquet files of the shards")
    return parser.parse_args()


def main() -> None:
    """Gather and write both files."""
    arguments = parse_arguments()
    rows, summary = gather(arguments.spec, arguments.shards)
    identity = {key: summary[key] for key in ("experiment", "protocol")}
    write_rows(arguments.output_rows, rows, identity)
    write_json(arguments.output_summary, summary)


if __name__ == "__main__":
    run_cli(main)
