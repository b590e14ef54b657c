"""Grow images from noise along a model's gradient towards chosen classes."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from robustvit.analysis.gradient_accumulation import accumulate_gradients
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import atomic_path, read_json
from robustvit.training.devices import open_device


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument(
        "--dataset", type=Path, help="manifest.json of the data set whose class names are used"
    )
    parser.add_argument("--weights", required=True, type=Path, help="the model's weights")
    parser.add_argument("--output", required=True, type=Path, help=".npz of the images")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    return parser.parse_args()


def main() -> None:
    """Accumulate and write the images."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    classes = read_json(arguments.dataset)["classes"] if arguments.dataset else None
    found = accumulate_gradients(arguments.spec, classes, arguments.weights, device)
    with atomic_path(arguments.output) as temporary:
        np.savez(temporary, **found)


if __name__ == "__main__":
    run_cli(main)
