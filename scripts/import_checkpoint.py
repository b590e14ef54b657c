#!/usr/bin/env python3
"""Import weights that were trained elsewhere, checked against the model they are said to be of."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import sha256
from robustvit.models.factory import build_model
from robustvit.models.importing import checkpoint_file
from robustvit.models.weights import load_weights, save_weights


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the spec is {"checkpoint", "url", "sha256", "mirrors", "model"}."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--output", type=Path, required=True, help="result: weights.safetensors")
    return parser.parse_args()


def main() -> None:
    """Load strictly, and save as safetensors."""
    arguments = parse_arguments()
    spec = arguments.spec
    model = build_model(spec["model"])
    with checkpoint_file(spec["url"], spec.get("sha256"), spec.get("mirrors") or ()) as path:
        load_weights(model, path)
        metadata = {
            "format": "pt",
            "checkpoint": spec["checkpoint"],
            "url": spec["url"],
            "source_sha256": sha256(path),
            "model": json.dumps(spec["model"], sort_keys=True),
        }
    save_weights(arguments.output, model, metadata)


if __name__ == "__main__":
    run_cli(main)
