"""Compare our AutoAttack with RobustBench's on one model, example by example, as a Markdown table.

The model is one of the workflow's weights files or the ResNet-18 that pyautoattack ships.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from robustvit.core.cli import run_cli
from robustvit.evaluation.parity import STANDARD, library_verdicts, our_verdicts
from robustvit.evaluation.shards import load_model, load_shard
from robustvit.models.importing import checkpoint_file
from robustvit.training.devices import open_device

RESNET = {
    "name": "resnet18",
    "family": "pyautoattack_resnet",
    "args": {},
    "num_classes": 10,
    "image_size": 32,
    "patch_size": None,
    "drop_path": 0.0,
    "normalization": None,
}
WEIGHTS = "package:pyautoattack/examples/model_test.pt"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, type=Path, help="manifest.json of the images")
    parser.add_argument("--split", default="test", help="split of the data set")
    parser.add_argument("--model", type=json.loads, default=RESNET, help="MODEL as JSON")
    parser.add_argument("--weights", default=WEIGHTS, help="address of the weights, as a `url`")
    parser.add_argument("--images", type=int, default=16, help="images, balanced over the classes")
    parser.add_argument("--epsilon-255", type=float, default=0.5, help="radius in 1/255 (L∞)")
    parser.add_argument("--batch-size", type=int, default=64, help="images attacked at a time")
    parser.add_argument("--seed", type=int, default=0, help="seed of both")
    for name, value in STANDARD.items():
        parser.add_argument(f"--{name}", type=int, default=value, help="less is a weaker attack")
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda" or "cuda:1"')
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser.parse_args()


def compare(model: torch.nn.Module, shard: object, arguments: argparse.Namespace) -> str:
    """Run the three evaluations and return the table."""
    shared = {
        "epsilon": arguments.epsilon_255 / 255,
        "batch_size": arguments.batch_size,
        "options": {name: getattr(arguments, name) for name in STANDARD},
    }
    # pyautoattack asks gradients for a `view`, which images in channels_last layout refuse.
    images, labels = shard.images.contiguous(), shard.labels
    library, accuracy = library_verdicts(model, images, labels, seed=arguments.seed, **shared)
    same, own = (
        our_verdicts(model, images, labels, shard.seeds, library_seed=seed, **shared)
        for seed in (arguments.seed, None)
    )
    lines = [
        "| standing after | RobustBench | ours, its draws | differ | ours, own draws | differ |"
    ]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name, verdict in library.items():
        cells = [name, int(verdict.sum())]
        for ours in (same[name], own[name]):
            cells += [int(ours.sum()), int((ours != verdict).sum())]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    share = ", ".join(f"{name} {value:.2%}" for name, value in accuracy.items())
    return "\n".join([*lines, "", f"robustbench.benchmark of {len(labels)} images: {share}"])


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    device = open_device(arguments.device, arguments.threads)
    dataset = {"name": "cifar10", "split": arguments.split, "num_examples": arguments.images}
    dataset |= {key: arguments.model[key] for key in ("num_classes", "image_size")}
    dataset |= {"crop_pct": 1.0, "interpolation": "bicubic", "stand_in": False}
    spec = {"dataset": dataset, "shard": {"index": 0, "count": 1}, "seed": arguments.seed}
    shard = load_shard(spec, arguments.dataset, device)
    with checkpoint_file(arguments.weights, None) as path:
        model = load_model(arguments.model, path, device)
    print(compare(model, shard, arguments))


if __name__ == "__main__":
    run_cli(main)
