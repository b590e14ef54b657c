"""Time reading of ImageNet-like JPEGs: this project beside torchvision, tf.data, grain, webdataset.

Images per second of one core (CPU time of a process, one thread), all readers by turns in one run,
for the transforms of a training (RandomResizedCrop 224, flip) and of an evaluation (resize 256,
crop 224), bicubic, up to a batch of bytes (the project's evaluation: of floats). Readers that are
not in this environment are taken from another (`make bench-data-env`), or left out. Every image is
decoded each time: no reader keeps decoded ones, as none could keep ImageNet's.

Examples:
    python scripts/bench_data.py
    python scripts/bench_data.py --mirror ../shared/mirror --rounds 7
    python scripts/bench_data.py --photographs /data/imagenet/val --only project imagefolder
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from robustvit.benchmarks.layouts import write_layouts
from robustvit.benchmarks.photographs import photographs
from robustvit.benchmarks.reading import READERS, runnable, speed_rows, time_readers
from robustvit.benchmarks.report import circumstances, markdown
from robustvit.benchmarks.starving import waiting
from robustvit.core.cli import run_cli
from robustvit.training.devices import open_device

OTHERS = Path(__file__).resolve().parent.parent / ".venv-bench-data" / "bin" / "python"
TRANSFORMS = ("train", "evaluation")
WAITING_HEAD = ("workers", "step, ms", "images/s", "median wait, ms", "longest, ms", "share")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--photographs", type=Path, help="folder of JPEGs to read as they are")
    add("--mirror", type=Path, help="folder of archives whose photographs become 500 × 375 px")
    add("--images", type=int, default=128, help="how many different images")
    add("--only", nargs="+", choices=READERS, help="which readers; by default all that can run")
    add("--others", type=Path, default=OTHERS, help="interpreter with tensorflow, grain, …")
    add("--rounds", type=int, default=5, help="measurements of each reader")
    add("--seconds", type=float, default=1.0, help="CPU time of a measurement")
    add("--workers", type=int, default=1, help="data workers that feed the training step")
    return parser.parse_args()


def print_speeds(arguments: argparse.Namespace, folder: Path) -> float:
    """Print the table of readers; return the project's images per second in training."""
    others = arguments.others if arguments.others.exists() else None
    chosen = runnable(others)
    if arguments.only:
        chosen = {name: chosen[name] for name in chosen if name in arguments.only}
    left_out = [name for name in READERS if name not in runnable(others)]
    if left_out:
        print(f"Not installed here, left out: {', '.join(left_out)} (make bench-data-env)")
    speeds = {
        transform: time_readers(chosen, folder, transform, arguments.rounds, arguments.seconds)
        for transform in TRANSFORMS
    }
    print("\nImages per second of a core: median (least–most)\n")
    print(markdown(("reader", *TRANSFORMS), speed_rows(speeds)), flush=True)
    own = speeds["train"].get("project", [0.0])
    return sorted(own)[len(own) // 2]


def print_waiting(arguments: argparse.Namespace, folder: Path, speed: float) -> None:
    """Print how long steps wait that take 50, 75 and 90 % of what the workers can load."""
    rows = []
    for load in (0.5, 0.75, 0.9):
        step = 32 / (speed * load * arguments.workers)
        found = waiting(folder / "tfds" / "manifest.json", step, arguments.workers)
        numbers = (found.median * 1e3, found.longest * 1e3)
        cells = [f"{value:.1f}" for value in numbers]
        rate = f"{32 / step:,.0f}"
        share = f"{100 * found.share:.1f} %"
        rows.append([str(arguments.workers), f"{1e3 * step:.0f}", rate, *cells, share])
    print("\nHow long a step of 32 images waits for its batch\n")
    print(markdown(WAITING_HEAD, rows), flush=True)


def main() -> None:
    """Write the photographs in every layout, measure and print."""
    arguments = parse_arguments()
    print(circumstances(open_device("cpu", 1), 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = list(photographs(arguments.images, arguments.photographs, arguments.mirror))
        print(
            f"{len(images)} images, {sum(map(len, images)) / len(images) / 1e3:.0f} kB on average"
        )
        write_layouts(images, folder)
        speed = print_speeds(arguments, folder)
        if speed and arguments.workers:
            print_waiting(arguments, folder, speed)


if __name__ == "__main__":
    run_cli(main)
