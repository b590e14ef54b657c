"""Write stand-in archives in a data set's official layout out of CIFAR-10's photographs.

Example:
    python scripts/make_stand_in.py --cifar10 results/sources/cifar10/source.json \
        --spec '{"source": "caltech101", "seed": 42, "per_class": 120,
                 "classes": {"bird": "pigeon", "truck": "BACKGROUND_Google"}}' \
        --output results/demo/stand_ins/caltech101/source.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import atomic_directory
from robustvit.data.source_files import read_source
from robustvit.data.stand_ins import make_stand_in


def main() -> None:
    """Write the archives into a temporary folder that becomes the output's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    parser.add_argument(
        "--cifar10", required=True, type=Path, help="source.json of CIFAR-10, from fetch_source.py"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="source.json to write; its folder is replaced as a whole",
    )
    arguments = parser.parse_args()
    cifar10 = read_source(arguments.cifar10)
    with atomic_directory(arguments.output.parent) as folder:
        make_stand_in(arguments.spec, cifar10, folder)


if __name__ == "__main__":
    run_cli(main)
