"""Take the weights of one epoch out of those that a training kept on its way."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import run_cli
from robustvit.training.kept import take_epoch


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", required=True, type=Path, help="the training's epochs file")
    parser.add_argument("--epoch", required=True, type=int, help="after so many epochs, from 1")
    parser.add_argument("--output", required=True, type=Path, help="result: weights")
    return parser.parse_args()


def main() -> None:
    """Take and write."""
    arguments = parse_arguments()
    take_epoch(arguments.epochs, arguments.epoch, arguments.output)


if __name__ == "__main__":
    run_cli(main)
