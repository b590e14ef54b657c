"""Build one data set as TFDS files (array_record) from its official archives.

Example:
    python scripts/build_dataset.py --source results/demo/stand_ins/imagenet/source.json \
        --spec '{"dataset": "demo_imagenet_subset", "builder": "imagenet_classes",
                 "options": {"classes": ["n04285008", "n01641577"]}}' \
        --output results/demo/datasets/demo_imagenet_subset/manifest.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core import plugins
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.data.source_files import read_source
from robustvit.data.writing import write_dataset


def main() -> None:
    """Let the builder plan the set and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    parser.add_argument(
        "--source", required=True, type=Path, help="source.json of the archives to build from"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="manifest.json to write; its folder is replaced as a whole",
    )
    arguments = parser.parse_args()
    spec, source = arguments.spec, read_source(arguments.source)
    builder = plugins.load("robustvit.data.builders", spec["builder"])
    plan = builder.plan(source, spec.get("options") or {})
    write_dataset(
        plan, arguments.output, dataset=spec["dataset"], builder=spec["builder"], source=source
    )


if __name__ == "__main__":
    run_cli(main)
