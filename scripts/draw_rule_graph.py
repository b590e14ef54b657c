"""Write the graph of the run's rules as Graphviz text, for the figure of it.

`--spec` says which kinds of job the run has; it is not read, but a change of it draws anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robustvit.core.cli import add_spec_argument, run_cli
from robustvit.core.files import write_text
from robustvit.reporting.nested import ask_snakemake


def main() -> None:
    """Ask Snakemake for the rules that `--target` needs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_spec_argument(parser)
    parser.add_argument("--target", required=True, help="the file whose rules are drawn")
    parser.add_argument("--output", required=True, type=Path, help="the graph, in the dot language")
    arguments = parser.parse_args()
    text = ask_snakemake("--rulegraph", "dot", "--forceall", "--", arguments.target)
    write_text(arguments.output, text)


if __name__ == "__main__":
    run_cli(main)
