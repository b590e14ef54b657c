"""Time one training step of each loss on random images: milliseconds, images/s, memory.

Ratios to the clean step of the same model are what can be compared between machines; the floor is
1.67 for one attack step and 9 for TRADES with PGD-10 (counted in forward passes).

Example:
    python scripts/bench_training.py --image-size 224 --batch-size 256 --precision bf16 \
        --model '{"family": "xcit", "args": {"embed_dim": 384, "num_heads": 8}}'
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

from robustvit.core import plugins
from robustvit.core.cli import run_cli
from robustvit.models.factory import build_model
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.devices import Device, open_device
from robustvit.training.optimizer import build_optimizer

XCIT = {"patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 8, "tokens_norm": True}
STEPS = {"clean": 0, "adversarial": 1, "trades": 10}
OPTIMIZER = {"name": "adamw", "lr": 5e-4, "weight_decay": 0.5, "betas": [0.9, 0.999], "eps": 1e-8}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=json.loads, default={}, help="family and args, as JSON")
    parser.add_argument("--image-size", type=int, default=224, help="side in pixels")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step")
    parser.add_argument("--num-classes", type=int, default=1000, help="size of the head")
    parser.add_argument("--precision", default="float32", help="float32 or bf16")
    parser.add_argument("--losses", nargs="+", default=list(STEPS), help="which steps to time")
    parser.add_argument("--repeats", type=int, default=10, help="timed steps, after two others")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser.parse_args()


def prepare(arguments: argparse.Namespace, device: Device) -> tuple[torch.nn.Module, Batch]:
    """Build the model and a batch of random images."""
    size, count = arguments.image_size, arguments.batch_size
    entry = {"family": "xcit", "name": "benchmark", "patch_size": None, "normalization": None}
    entry |= {"num_classes": arguments.num_classes, "image_size": size, "drop_path": 0.05}
    entry |= arguments.model
    if entry["family"] == "xcit":
        entry["args"] = XCIT | entry.get("args", {})
    model = build_model(entry, seed=0).to(device.device).train()
    images, labels = torch.rand(count, 3, size, size), torch.arange(count) % arguments.num_classes
    return model, Batch(*device.put(images, labels, torch.arange(count)))


def time_steps(name: str, model: torch.nn.Module, batch: Batch, a: argparse.Namespace, device):
    """Return the median seconds of a step with the loss `name`, and the peak memory in MB."""
    loss = plugins.load("robustvit.training.losses", name)
    steps = STEPS.get(name, 1)
    attack = AttackSettings("pgd", "linf", 4 / 255, 1.5 * 4 / 255 / steps, steps) if steps else None
    context = LossContext(model, F.cross_entropy, attack, {"name": name, "beta": 6.0})
    optimizer = build_optimizer(model, OPTIMIZER)
    seconds = []
    for _ in range(a.repeats + 2):
        started = time.perf_counter()
        with device.autocast(a.precision):
            output = loss.compute(batch, context)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:]), device.memory_mb()


def main() -> None:
    """Print one line per loss."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    model, batch = prepare(arguments, device)
    print(f"{device.name}, torch {torch.__version__}, batch {arguments.batch_size}, "
          f"{arguments.image_size} px, {arguments.precision}")  # fmt: skip
    first = None
    for name in arguments.losses:
        seconds, memory = time_steps(name, model, batch, arguments, device)
        first = first or seconds
        print(f"{name:12} {seconds * 1e3:9.1f} ms {arguments.batch_size / seconds:9.1f} images/s "
              f"{seconds / first:6.2f} x {memory:9.0f} MB")  # fmt: skip


if __name__ == "__main__":
    run_cli(main)
