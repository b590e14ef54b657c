"""Time the building of a data set from a generated archive in ILSVRC2012's layout.

Prints images per second of the wall and of the processor for each number of workers, and the
largest resident memory of all processes together. All builds have to end with the same bytes.

Examples:
    python scripts/bench_building.py
    python scripts/bench_building.py --gigabytes 4 --padding-kb 1900 --workers 2
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from robustvit.benchmarks.building import measure_build, write_archives
from robustvit.core.cli import run_cli
from robustvit.core.provenance import processor_name

COLUMNS = ("workers", "images", "images/s", "images/s of CPU", "peak MB", "largest process MB")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("--gigabytes", type=float, default=0.5, help="size of the archive (default 0.5)")
    flag("--padding-kb", type=int, default=0, help="kB added to each image: few and large ones")
    flag("--workers", type=int, nargs="+", default=[1, 2], help="processes (default 1 2)")
    flag("--rounds", type=int, default=1, help="builds of each, by turns")
    flag("--folder", type=Path, help="where to work, with room for three times the archive")
    return parser.parse_args()


def main() -> int:
    """Measure and print a table; 1 if two builds differ."""
    arguments, hashes = parse_arguments(), set()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        size, padding = int(arguments.gigabytes * 1e9), arguments.padding_kb * 1000
        source = write_archives(Path(name) / "source", size, padding)
        print(f"{processor_name()}\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for workers in arguments.workers * arguments.rounds:
            row = measure_build(source, Path(name) / "built", workers)
            shutil.rmtree(Path(name) / "built")
            hashes.add(row["sha256"])
            speeds = [row["images"] / row[key] for key in ("seconds", "cpu_seconds")]
            sizes = [row["peak_mb"], row["largest_mb"]]
            shown = [f"{value:.0f}" for value in (*speeds, *sizes)]
            print(f"| {workers} | {row['images']} | {' | '.join(shown)} |", flush=True)
    print("all builds have the same bytes" if len(hashes) == 1 else "the builds DIFFER")
    return int(len(hashes) != 1)


if __name__ == "__main__":
    run_cli(main)
