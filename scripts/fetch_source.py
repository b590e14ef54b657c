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
from robustvit.core.errors import UserError
from robustvit.core.files import atomic_directory
from robustvit.data.own_images import SOURCES, fetch_own, is_plugin
from robustvit.data.source_files import DOWNLOADS, HASHES


def main() -> None:
    """Run the source's plug-in in a temporary folder that becomes the output's folder.

    A source without a plug-in is a user's own: a folder or archive of that name.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="source.json to write; its folder is replaced as a whole",
    )
    arguments = parser.parse_args()
    name, mirrors = arguments.spec["source"], list(arguments.spec.get("mirrors") or [])
    # The folder would replace that of the fetched archives, or of their hashes, beside it.
    if name.lower() in (DOWNLOADS, HASHES):
        raise UserError(f'source: no source may be called "{name}"; for instance {name}_images')
    with atomic_directory(arguments.output.parent) as folder:
        if is_plugin(name):
            plugins.load(SOURCES, name).fetch(mirrors, folder)
        else:
            fetch_own(name, mirrors, folder)


if __name__ == "__main__":
    run_cli(main)
