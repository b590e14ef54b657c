"""Time AutoAttack: pyautoattack itself, the reference engine and the fast one, on the same images.

Prints seconds of CPU per attack, the images that withstand it, and where the verdicts differ.
pyautoattack runs as its users run it: on the network as its authors wrote it, with weights that
want gradients, 250 images at a time, the allocator as it is. The engines run as in an evaluation.

Example, after `make demo`:
    python scripts/bench_autoattack.py --training results/demo/train/demo_light \
        --dataset results/demo/datasets/demo_imagenet4/manifest.json --images 48
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from pyautoattack import AutoAttack
from torch import Tensor, nn

from robustvit.attacks import autoattack
from robustvit.attacks.support.outcome import AttackOutcome, ignore_report
from robustvit.core.cli import run_cli
from robustvit.core.errors import UserError
from robustvit.evaluation.batch_size import AUTO, choose_batch_size
from robustvit.evaluation.shards import load_model, load_shard
from robustvit.models.factory import build_network, normalized
from robustvit.models.stable import StableRows
from robustvit.models.weights import load_weights
from robustvit.training.devices import Device, open_device

ENGINES = ("pyautoattack", "reference", "fast")  # the library first, see `main`
DEMO = Path("results/demo")
LIBRARY_NORMS = {"linf": "Linf", "l2": "L2"}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--training", type=Path, default=DEMO / "train/demo_cifar10", help="a training's folder"
    )
    parser.add_argument(
        "--dataset", type=Path, default=DEMO / "datasets/cifar10/manifest.json",
        help="the data set's manifest.json",
    )  # fmt: skip
    parser.add_argument("--images", type=int, default=24, help="number of images")
    parser.add_argument("--epsilon-255", type=float, help="default: what it was trained with")
    parser.add_argument("--norm", choices=list(LIBRARY_NORMS), help="default: as in training")
    parser.add_argument("--batch-size", type=int, help="of the engines; default: by the device")
    parser.add_argument(
        "--library-batch-size", type=int, default=250, help="of pyautoattack: its own default"
    )
    parser.add_argument("--iterations", type=int, default=100, help="of the gradient attacks")
    parser.add_argument("--queries", type=int, default=5000, help="of Square")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument(
        "--our-model", action="store_true", help="pyautoattack gets the engines' faster network"
    )
    parser.add_argument("--device", default="cpu", help="cpu, or cuda with seconds of wall time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser.parse_args()


@dataclass
class Clock:
    """A `Checkpoint` that keeps nothing but the time of every attack and who is left."""

    model: nn.Module
    labels: Tensor
    wall: bool
    seconds: dict[str, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    total: float = 0.0
    standing: Tensor | None = None
    started: float = 0.0

    def load(self, name: str) -> AttackOutcome | None:
        """Start the clock."""
        self.started = self.now()

    def save(self, name: str, outcome: AttackOutcome) -> None:
        """Stop the clock and count."""
        self.seconds[name] = self.now() - self.started
        with torch.no_grad():
            right = self.model(outcome.adversarial).argmax(dim=1) == self.labels
        self.standing = right if self.standing is None else self.standing & right
        self.left[name] = int(self.standing.sum())

    def now(self) -> float:
        if self.wall:
            torch.cuda.synchronize()
        return time.perf_counter() if self.wall else time.process_time()


def plain_model(spec: dict, weights: Path, device: Device) -> nn.Module:
    """Build the MODEL `spec` from the layers of its authors."""
    model = normalized(build_network(spec), spec)
    load_weights(model, weights)
    return model.to(device.device).eval()


def run_library(model: nn.Module, images: Tensor, clock: Clock, a: argparse.Namespace) -> None:
    """Run pyautoattack, one attack after the other, on what the earlier ones left standing."""
    model.requires_grad_(True)
    library = AutoAttack(model, norm=LIBRARY_NORMS[a.norm], eps=a.epsilon_255 / 255, seed=0,
                         device=images.device)  # fmt: skip
    library.apgd.n_iter = library.apgd_targeted.n_iter = library.fab.n_iter = a.iterations
    library.square.n_queries = a.queries
    with torch.no_grad():
        logits = model(images)
    # The library counts the targets of its leaderboard and stops with an error for fewer classes.
    for part in (library.apgd_targeted, library.fab):
        part.n_target_classes = min(part.n_target_classes, logits.shape[1] - 1)
    standing = logits.argmax(dim=1) == clock.labels
    adversarial = images.clone()
    for name in list(library.attacks_to_run):
        library.attacks_to_run = [name]
        clock.load(name)
        chosen = standing.nonzero().flatten()
        if len(chosen):
            adversarial[chosen] = library.run_standard_evaluation(
                images[chosen], clock.labels[chosen], batch_size=a.library_batch_size
            )[0]
        clock.save(name, AttackOutcome(adversarial, standing, 0.0))
        standing = clock.standing
    model.requires_grad_(False)


def run_engine(
    engine: str, model: nn.Module, images: Tensor, seeds: Tensor, clock: Clock,
    a: argparse.Namespace,
) -> None:  # fmt: skip
    """Run one of the two engines."""
    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    options = {"engine": engine, "iterations": a.iterations, "queries": a.queries}
    autoattack.run(
        model, images, clock.labels, epsilon=a.epsilon_255 / 255, norm=a.norm, seeds=seeds,
        num_classes=classes, options=options, batch_size=a.batch_size, report=ignore_report,
        checkpoint=clock,
    )  # fmt: skip


def show(clocks: dict[str, Clock]) -> None:
    """Print a line per attack and how the verdicts compare."""
    print(f"{'attack':10}" + "".join(f"{name:>16} left" for name in clocks))
    names = list(next(iter(clocks.values())).seconds)
    for name in names:
        cells = (f"{c.seconds[name]:14.1f} s{c.left[name]:5d}" for c in clocks.values())
        print(f"{name:10}" + "".join(cells))
    totals = {engine: clock.total for engine, clock in clocks.items()}
    rest = {
        engine: total - sum(clocks[engine].seconds.values()) for engine, total in totals.items()
    }
    print(f"{'the rest':10}" + "".join(f"{seconds:14.1f} s{'':5}" for seconds in rest.values()))
    print(f"{'all':10}" + "".join(f"{total:14.1f} s{'':5}" for total in totals.values()))
    (first, base), *others = clocks.items()
    for engine, clock in others:
        more, fewer = (
            (clock.standing & ~base.standing).sum(),
            (base.standing & ~clock.standing).sum(),
        )
        print(f"{engine}: {totals[engine] / totals[first]:.2f} of the time of {first}; "
              f"{int(more)} images only {first} breaks, {int(fewer)} only {engine}")  # fmt: skip


def require_files(a: argparse.Namespace) -> None:
    """Stop unless the model and the images are there.

    Raises:
        UserError: naming the option.
    """
    for option, path in (("training", a.training / "weights.safetensors"), ("dataset", a.dataset)):
        if not path.is_file():
            raise UserError(
                f"--{option}: there is no {path}. Run `make demo` first, or name another, for "
                "instance --training results/paper/train/light_s12"
            )


def time_engine(engine: str, device: Device, spec: dict, a: argparse.Namespace) -> Clock:
    """Load what an engine needs, run it and take its time."""
    dataset = {**spec["eval_dataset"], "num_examples": a.images}
    place = {"dataset": dataset, "shard": {"index": 0, "count": 1}, "seed": spec["seed"]}
    shard, weights = load_shard(place, a.dataset, device), a.training / "weights.safetensors"
    own = engine != "pyautoattack" or a.our_model
    model = (load_model if own else plain_model)(spec["model"], weights, device)
    if engine != "pyautoattack":
        shape = tuple(shard.images.shape[1:])
        a.batch_size = choose_batch_size(a.batch_size or AUTO, model, shape, device)
        model = StableRows(model, shape)
    clock = Clock(model, shard.labels, device.is_cuda)
    started = clock.now()
    if engine == "pyautoattack":
        run_library(model, shard.images.contiguous(), clock, a)
    else:
        run_engine(engine, model, shard.images, shard.seeds, clock, a)
    clock.total = clock.now() - started
    return clock


def main() -> None:
    """Run the engines and print the table."""
    a = parse_arguments()
    require_files(a)
    spec = yaml.safe_load((a.training / "config.yaml").read_text())
    threat = spec["threat"] or {"norm": "linf", "epsilon_255": 4}
    a.norm, a.epsilon_255 = a.norm or threat["norm"], a.epsilon_255 or threat["epsilon_255"]
    clocks = {}
    torch.set_num_threads(a.threads)
    if "pyautoattack" in a.engines:  # before `open_device`, which makes the allocator quicker
        plain = Device(torch.device(a.device))
        clocks["pyautoattack"] = time_engine("pyautoattack", plain, spec, a)
    device = open_device(a.device, a.threads)
    for engine in (name for name in ENGINES[1:] if name in a.engines):
        clocks[engine] = time_engine(engine, device, spec, a)
    print(f"{spec['experiment']}, {a.images} images, {a.norm} ε = {a.epsilon_255:g}/255, batches "
          f"of {a.batch_size} (pyautoattack {a.library_batch_size}), {device.name}, "
          f"torch {torch.__version__}")  # fmt: skip
    show(clocks)


if __name__ == "__main__":
    run_cli(main)
