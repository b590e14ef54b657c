"""Write docs/experiments.md, all experiments of the paper at a glance, from the configuration.

Example: python scripts/document_experiments.py --output docs/experiments.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from robustvit.config.catalogue import catalogue
from robustvit.config.resolve import resolve
from robustvit.core.cli import run_cli
from robustvit.core.files import write_text
from robustvit.core.sources import SCRIPTS
from robustvit.reporting.published import Published

ROOT = SCRIPTS.parent


def paper_page(root: Path = ROOT) -> str:
    """Return the page of the project's own configuration."""
    written = yaml.safe_load((root / "workflow_config.yaml").read_text(encoding="utf-8"))
    config = resolve(written)
    return catalogue(config, Published.load(root / config["paths"]["published"]))


def main() -> None:
    """Write the page; a test checks that the one in the project is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, type=Path, help="the Markdown file to write")
    write_text(parser.parse_args().output, paper_page())


if __name__ == "__main__":
    run_cli(main)
