"""A tiny data set and a tiny trained model that the tests of evaluation and analyses share."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from robustvit.data.building import DatasetPlan, Example
from robustvit.data.evaluation_images import load_eval_batch
from robustvit.data.writing import write_dataset
from robustvit.models.factory import build_model
from robustvit.models.weights import save_weights

CLASSES = ["red", "green", "blue", "grey"]
SIZE, COUNT = 16, 40
COLOURS = np.array([[150, 100, 100], [100, 150, 100], [100, 100, 150], [115, 115, 115]])
MODEL = {
    "name": "tiny",
    "family": "xcit",
    "args": {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2, "tokens_norm": True},
    "num_classes": 4,
    "image_size": SIZE,
    "patch_size": None,
    "drop_path": 0.0,
    "normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}
DATASET = {
    "name": "colours",
    "split": "test",
    "num_classes": 4,
    "image_size": SIZE,
    "crop_pct": 1.0,
    "interpolation": "bicubic",
    "num_examples": 24,
    "stand_in": True,
}
QUICK_AUTOATTACK = {"name": "autoattack", "options": {"iterations": 4, "queries": 12}}


def write_colours(folder: Path) -> Path:
    """Write a TFDS set of noisy coloured squares and return its manifest."""

    def examples() -> Iterator[Example]:
        random = np.random.default_rng(0)
        for number in range(COUNT):
            label = number % len(CLASSES)
            pixels = COLOURS[label] + random.normal(0, 25, (SIZE, SIZE, 3))
            data = io.BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(data, "PNG")
            yield Example("test", f"colours/test/{number:05d}", label, data.getvalue())

    plan = DatasetPlan(CLASSES, ["test"], examples, COUNT, "png")
    source = {"stand_in": True, "origin": "stand-in", "sha256": {}}
    manifest = folder / "manifest.json"
    write_dataset(plan, manifest, dataset="colours", builder="test", source=source)
    return manifest


def write_weights(path: Path, manifest: Path, steps: int = 60) -> Path:
    """Train `MODEL` for a second, so that attacks have something to break."""
    images, labels = load_eval_batch(manifest, DATASET, range(COUNT))
    model = build_model(MODEL, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    save_weights(path, model, {})
    return path


def gather_spec(protocol: str = "autoattack", attack: dict | None = None, **more: object) -> dict:
    """GATHER of the tiny experiment."""
    spec = {
        "experiment": "tiny",
        "protocol": protocol,
        "dataset": copy.deepcopy(DATASET),
        "threat": {"norm": "linf", "epsilon_255": 8} if attack else None,
        "attack": attack,
        "seed": 42,
    }
    return spec | more


def evaluate_spec(
    protocol: str = "autoattack",
    attack: dict | None = None,
    shard: tuple[int, int] = (0, 1),
    **more: object,
) -> dict:
    """EVALUATE of the tiny experiment."""
    spec = gather_spec(protocol, attack)
    spec |= {"model": copy.deepcopy(MODEL), "batch_size": 16}
    return spec | {"shard": {"index": shard[0], "count": shard[1]}} | more


def perturb_spec(**more: object) -> dict:
    """PERTURB of the tiny experiment."""
    spec = {
        "semantics": "tiny-semantics",
        "generator": "tiny",
        "attack": {"name": "pgd", "options": {"steps": 5, "step_factor": 1.5}},
        "threat": {"norm": "linf", "epsilon_255": 8},
        "dataset": copy.deepcopy(DATASET),
        "model": copy.deepcopy(MODEL),
        "seed": 42,
        "sign": "minus",
        "batch_size": 16,
    }
    return spec | more


def classify_spec(**more: object) -> dict:
    """CLASSIFY of the tiny perturbations by the tiny model."""
    names = {"semantics": "tiny-semantics", "generator": "tiny", "classifier": "tiny"}
    spec = names | {"model": copy.deepcopy(MODEL), "num_classes": 4, "seed": 42, "batch_size": 16}
    return spec | more


def gradients_spec(**more: object) -> dict:
    """GRADIENTS of the tiny experiment."""
    spec = {
        "experiment": "tiny",
        "model": copy.deepcopy(MODEL),
        "targets": ["blue", "red"],
        "epsilon": 15.0,
        "steps": 60,
        "step_factor": 0.08,
        "image_size": SIZE,
        "seed": 42,
    }
    return spec | more
