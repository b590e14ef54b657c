"""Time training steps: clean, one-step attack, TRADES; this project's and the released code's.

Ratios to the clean step of the same model are what can be compared between machines. The floor is
counted in operations. All kinds of steps are timed by turns; memory is measured in a process of its
own for each. On a CPU the times are those of the process, not of the wall.

Examples:
    python scripts/bench_training.py
    python scripts/bench_training.py --cases n12_224 --device cuda --compile
    python scripts/bench_training.py --cases --batch-size 256 --image-size 224 --steps clean fgsm \
        --model '{"family": "timm", "args": {"model": "xcit_small_12_p16_224"}}'
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace

from robustvit.benchmarks.cases import CASES, COMPILED, VARIANTS, Case
from robustvit.benchmarks.loading import loading_speeds
from robustvit.benchmarks.measuring import floors, interleave, peak_memory, step_clock
from robustvit.benchmarks.report import STEP_HEAD, circumstances, markdown, step_rows
from robustvit.benchmarks.stepping import Stepper
from robustvit.core.cli import run_cli
from robustvit.training.devices import Device, open_device

LOADING_HEAD = ("pixels", "augmentation", "images/s")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cases", nargs="*", default=["n12_32", "n12_224"], choices=CASES, help="built-in models")
    add("--model", type=json.loads, help="another model: family and args, as JSON")
    add("--image-size", type=int, default=224, help="its images' side in pixels")
    add("--batch-size", type=int, help="images per step, also of built-in models")
    add("--steps", nargs="+", choices=VARIANTS, help="which kinds of steps; by default the case's")
    add("--compile", action="store_true", help="also with torch.compile, which takes minutes")
    add("--rounds", type=int, default=6, help="times that each kind of step is taken")
    add("--seconds", type=float, default=160.0, help="time for a case, at least one round")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--threads", type=int, default=1, help="CPU threads")
    add("--no-memory", action="store_true", help="do not measure memory")
    add("--no-loading", action="store_true", help="do not measure the data loader")
    add("--quick", action="store_true", help="a small model, two rounds: does it run at all?")
    add("--peak-of", nargs=2, metavar=("CASE", "STEP"), help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """The cases to time."""
    cases = [CASES[name] for name in (["quick"] if arguments.quick else arguments.cases)]
    if arguments.model:
        model = {"name": "benchmark", "patch_size": None, "normalization": None, "drop_path": 0.05}
        model |= {"num_classes": 1000, "image_size": arguments.image_size} | arguments.model
        cases = [Case(json.dumps(arguments.model), model, 64, ("clean", "fgsm", "trades"))]
    for i, case in enumerate(cases):
        variants = arguments.steps or case.variants + (COMPILED if arguments.compile else ())
        size = arguments.batch_size or case.batch_size
        cases[i] = replace(case, variants=tuple(variants), batch_size=size)
    return cases


def memory_of(case: Case, arguments: argparse.Namespace) -> dict[str, float]:
    """MB of each kind of step, each in a fresh process; those that are compiled left out."""
    name = next((name for name, known in CASES.items() if known.model == case.model), None)
    if arguments.no_memory or name is None:
        return {}
    options = ["--device", arguments.device, "--threads", str(arguments.threads)]
    options += ["--batch-size", str(case.batch_size)]
    found = {}
    for step in ("fgsm", "released_fgsm") if arguments.quick else case.variants:
        if not VARIANTS[step].layout.get("compile"):
            command = [sys.executable, __file__, "--peak-of", name, step, *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[step] = float(done.stdout)
    return found


def print_case(case: Case, device: Device, arguments: argparse.Namespace) -> None:
    """Time a case and print its table."""
    steppers = {name: Stepper(case, VARIANTS[name], device) for name in case.variants}
    clock = step_clock(device)
    rounds, seconds = (1, 0.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    times = interleave(steppers, rounds, clock, seconds)
    memory = memory_of(case, arguments)
    print(f"\n{case.label}, batch {case.batch_size}\n")
    print(markdown(STEP_HEAD, step_rows(case, times, memory, floors(case))), flush=True)


def print_loading(arguments: argparse.Namespace) -> None:
    """Measure the data loader and print its table."""
    count, seconds = (16, 0.2) if arguments.quick else (192, 6.0)
    rows = [
        [str(row["pixels"]), row["augmentation"], f"{row['images_per_second']:,.0f}"]
        for row in loading_speeds(count, seconds)
    ]
    print("\nData loader, images per second of a core\n")
    print(markdown(LOADING_HEAD, rows), flush=True)


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    if arguments.peak_of:
        name, step = arguments.peak_of
        case = replace(CASES[name], batch_size=arguments.batch_size or CASES[name].batch_size)
        print(peak_memory(Stepper(case, VARIANTS[step], device, attack_steps=2)))
        return
    print(circumstances(device, arguments.threads), flush=True)
    for case in chosen_cases(arguments):
        print_case(case, device, arguments)
    if not arguments.no_loading:
        print_loading(arguments)


if __name__ == "__main__":
    run_cli(main)
