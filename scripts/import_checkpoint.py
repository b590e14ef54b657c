#!/usr/bin/env python3
"""Import weights that were trained elsewhere, checked against the model they are said to be of."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_json
from robustvit.models.imported import import_model
from robustvit.models.weights import save_weights


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the spec is {"checkpoint", "url", "sha256", "mirrors", "model"}."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_spec_argument(parser)
    parser.add_argument("--output", type=Path, required=True, help="result: weights.safetensors")
    parser.add_argument(
        "--source", type=Path, help="result: where the weights come from, as JSON with hashes"
    )
    parser.add_argument(
        "--record", type=Path, help="keeps the hash of a first use, where none was published"
    )
    return parser.parse_args()


def main() -> None:
    """Load strictly, try the model out, and save as safetensors."""
    arguments = parse_arguments()
    spec = arguments.spec
    model, source = import_model(spec, arguments.record)
    metadata = {
        "format": "pt",
        "checkpoint": spec["checkpoint"],
        "url": spec["url"] or "",
        "source_sha256": source["sha256"] or "",
        "model": json.dumps(spec["model"], sort_keys=True),
    }
    save_weights(arguments.output, model, metadata)
    if arguments.source:
        write_json(arguments.source, source)


if __name__ == "__main__":
    run_cli(main)
