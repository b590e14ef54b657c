"""Write docs/configuration.md, the reference of the configuration, from its schema.

Example: python scripts/document_configuration.py --output docs/configuration.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.config.reference import reference_page
from robustvit.config.schema import load_schema
from robustvit.core.cli import run_cli
from robustvit.core.files import write_text


def main() -> None:
    """Write the page; a test checks that the one in the project is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, type=Path, help="the Markdown file to write")
    write_text(parser.parse_args().output, reference_page(load_schema()))


if __name__ == "__main__":
    run_cli(main)
