"""Write the adversarial images of an evaluation as a TFDS set."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.evaluation.export import export_adversarial


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--dataset", required=True, type=Path, help="the attacked manifest.json")
    parser.add_argument("--output", required=True, type=Path, help="manifest.json of the new set")
    parser.add_argument("shards", nargs="+", type=Path, help="Parquet files of the shards")
    return parser.parse_args()


def main() -> None:
    """Export."""
    arguments = parse_arguments()
    export_adversarial(arguments.spec, arguments.shards, arguments.dataset, arguments.output)


if __name__ == "__main__":
    run_cli(main)
