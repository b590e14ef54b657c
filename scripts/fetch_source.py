"""Find or download the original archives of one data source and write `source.json`.

Example:
    python scripts/fetch_source.py --spec '{"source": "cifar10", "mirrors": ["mirror"]}' \
        --output results/sources/cifar10/source.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core import plugins
from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import atomic_directory


def main() -> None:
    """Run the source's plug-in in a temporary folder that becomes the output's folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="source.json to write; its folder is replaced as a whole",
    )
    arguments = parser.parse_args()
    source = plugins.load("robustvit.data.sources", arguments.spec["source"])
    with atomic_directory(arguments.output.parent) as folder:
        source.fetch(list(arguments.spec.get("mirrors") or []), folder)


if __name__ == "__main__":
    run_cli(main)
