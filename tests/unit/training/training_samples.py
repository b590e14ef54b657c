"""A tiny data set and experiment that the tests of training share."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from robustvit.data.building import DatasetPlan, Example
from robustvit.data.writing import write_dataset

CLASSES = ["red", "green", "blue", "grey"]
SIZE = 16
COLOURS = np.array([[170, 60, 60], [60, 170, 60], [60, 60, 170], [120, 120, 120]])
SOURCE = {"stand_in": True, "origin": "stand-in", "sha256": {}}


def _image(label: int, rng: np.random.Generator) -> bytes:
    pixels = COLOURS[label] + rng.normal(0, 25, (SIZE, SIZE, 3))
    target = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target, "PNG")
    return target.getvalue()


def write_colours(folder: Path, train: int = 64, test: int = 32, seed: int = 0) -> Path:
    """Write a TFDS set of noisy coloured squares and return its manifest."""

    def examples() -> Iterator[Example]:
        rng = np.random.default_rng(seed)
        for split, count in (("train", train), ("test", test)):
            for number in range(count):
                label = number % len(CLASSES)
                yield Example(split, f"{split}/{number:04}", label, _image(label, rng))

    plan = DatasetPlan(CLASSES, ["train", "test"], examples, train + test, "png")
    manifest = folder / "manifest.json"
    write_dataset(plan, manifest, dataset="colours", builder="test", source=SOURCE)
    return manifest


def _reading(split: str) -> dict:
    return {
        "name": "colours",
        "split": split,
        "num_classes": 4,
        "image_size": SIZE,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "num_examples": None,
        "stand_in": True,
    }


MODEL = {
    "name": "xcit_tiny_test",
    "family": "xcit",
    "args": {
        "patch_size": 8,
        "embed_dim": 16,
        "depth": 1,
        "num_heads": 2,
        "cls_attn_layers": 1,
        "tokens_norm": True,
    },
    "num_classes": 4,
    "image_size": SIZE,
    "patch_size": None,
    "drop_path": 0.1,
    "normalization": None,
}

RECIPE = {
    "batch_size": 16,
    "epochs": 2,
    "cooldown_epochs": 0,
    "label_smoothing": 0.1,
    "drop_path": 0.1,
    "selection": "last",
    "holdout_fraction": 0.0,
    "optimizer": {
        "name": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.05,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "momentum": 0.9,
        "nesterov": True,
    },
    "schedule": {
        "name": "cosine",
        "warmup_epochs": 0.5,
        "warmup_lr": 1e-6,
        "min_lr": 1e-5,
        "decay_epochs": None,
        "decay_rate": 0.1,
        "per": "step",
    },
    "augmentation": {
        "crop": "pad",
        "scale": [0.08, 1.0],
        "ratio": [0.75, 1.3333],
        "interpolation": "bicubic",
        "padding": 2,
        "hflip": 0.5,
        "rotation": 0,
        "color_jitter": None,
        "randaugment": None,
        "mixup": 0.0,
        "cutmix": 0.0,
        "mixup_prob": 1.0,
        "mixup_switch_prob": 0.5,
        "random_erasing": 0.0,
        "views": 1,
    },
    "loss": {"name": "adversarial", "beta": 6.0},
    "attack": {
        "name": "pgd",
        "steps": 1,
        "step_factor": 1.5,
        "step_size_255": None,
        "random_start": True,
        "mode": "eval",
        "epsilon_schedule": "linear",
        "epsilon_warmup_epochs": 0.5,
        "epsilon_zero_epochs": 0,
    },
    "ema_decay": None,
    "clip_grad_norm": None,
    "accumulation": 1,
    "precision": "float32",
    "channels_last": False,
    "compile": False,
    "evaluate_every": 1,
    "evaluate_examples": 16,
    "max_train_examples": None,
}


def synthetic(ratio: float = 0.5) -> dict:
    """The part of a TRAIN spec that mixes in synthetic images."""
    return {"synthetic": {"ratio": ratio, "dataset": {**_reading("train"), "name": "drawn"}}}


def train_spec(**recipe: object) -> dict:
    """A TRAIN spec; keywords replace values of the recipe (sections are merged)."""
    spec = {
        "experiment": "colours_light",
        "seed": 42,
        "dataset": _reading("train"),
        "eval_dataset": _reading("test"),
        "model": copy.deepcopy(MODEL),
        "recipe": copy.deepcopy(RECIPE),
        "threat": {"norm": "linf", "epsilon_255": 4},
        "init": None,
    }
    for name, value in recipe.items():
        if isinstance(value, dict):
            spec["recipe"].setdefault(name, {}).update(value)
        else:
            spec["recipe"][name] = value
    return spec
