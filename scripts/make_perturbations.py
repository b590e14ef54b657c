"""Attack a model and write the perturbations as images: a TFDS set and examples for figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.analysis.perturbations import make_perturbations
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.training.devices import open_device


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--dataset", required=True, type=Path, help="the data set's manifest.json")
    parser.add_argument("--weights", required=True, type=Path, help="the attacked model's weights")
    parser.add_argument(
        "--output", required=True, type=Path, help="manifest.json of the perturbation set"
    )
    parser.add_argument(
        "--examples", type=Path, help="file of the examples; by default examples.npz beside it"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    return parser.parse_args()


def main() -> None:
    """Attack and write."""
    arguments = parse_arguments()
    make_perturbations(
        arguments.spec,
        arguments.dataset,
        arguments.weights,
        arguments.output,
        arguments.examples or arguments.output.with_name("examples.npz"),
        open_device(arguments.device, arguments.threads),
    )


if __name__ == "__main__":
    run_cli(main)
