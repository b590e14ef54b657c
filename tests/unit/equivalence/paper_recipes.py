"""The paper's recipes, written out from the specification (part A), not from the configuration."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import torch

from robustvit.training.devices import Device
from robustvit.training.plan import Plan

XCIT_S12 = {
    "name": "xcit_small_12_p16_224",
    "family": "xcit",
    "args": {
        "patch_size": 16,
        "embed_dim": 384,
        "depth": 12,
        "num_heads": 8,
        "eta": 1.0,
        "tokens_norm": True,
    },
    "num_classes": 1000,
    "image_size": 224,
    "patch_size": None,
    "drop_path": 0.05,
    "normalization": None,
}
LIGHT = {
    "batch_size": 512,
    "epochs": 100,
    "cooldown_epochs": 10,
    "label_smoothing": 0.1,
    "drop_path": 0.05,
    "selection": "test",
    "optimizer": {"name": "adamw", "lr": 5e-4, "weight_decay": 0.5},
    "schedule": {
        "name": "cosine",
        "warmup_epochs": 10,
        "warmup_lr": 1e-6,
        "min_lr": 1e-5,
        "decay_epochs": None,
        "decay_rate": 0.1,
        "per": "epoch",
    },
    "augmentation": {
        "crop": "random_resized",
        "scale": [0.08, 1.0],
        "ratio": [3 / 4, 4 / 3],
        "interpolation": "bicubic",
        "hflip": 0.5,
        "rotation": 0,
        "padding": 4,
        "color_jitter": 0.4,
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
        "epsilon_warmup_epochs": 10,
        "epsilon_zero_epochs": 0,
    },
}


def _variant(**changes: object) -> dict:
    recipe = copy.deepcopy(LIGHT)
    for key, value in changes.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) else value
    return recipe


CANONICAL = _variant(
    optimizer={"weight_decay": 0.05},
    schedule={"warmup_epochs": 5},
    augmentation={
        "randaugment": "rand-m9-mstd0.5-inc1",
        "mixup": 0.8,
        "cutmix": 1.0,
        "random_erasing": 0.25,
    },
)
RESNET = _variant(
    optimizer={"name": "sgd", "lr": 3.2, "weight_decay": 1e-4, "momentum": 0.9, "nesterov": True},
    schedule={"name": "step", "warmup_epochs": 5, "warmup_lr": 3.2, "decay_epochs": 30},
    augmentation={"color_jitter": None},
    drop_path=0.0,
)
HIRES = _variant(
    epochs=20,
    optimizer={"lr": 5e-5},
    schedule={"warmup_epochs": 5, "min_lr": 5e-6},
    attack={"epsilon_schedule": "constant"},
)
CIFAR = _variant(
    batch_size=1024,
    epochs=20,
    cooldown_epochs=2,
    label_smoothing=0.0,
    optimizer={"lr": 2e-4 * 2**0.5},
    schedule={"warmup_epochs": 5, "min_lr": 5e-6},
    augmentation={"crop": "pad", "rotation": 2, "color_jitter": 0.25},
    loss={"name": "trades"},
    attack={"steps": 10, "epsilon_schedule": "constant"},
)


def plan_of(recipe: dict, epsilon_255: float = 4, **model: object) -> Plan:
    """The plan of a training with `recipe`, of ten steps an epoch; its data are never read."""
    spec = {
        "experiment": "test",
        "seed": 42,
        "dataset": {"num_classes": 1000},
        "model": {**XCIT_S12, **model},
        "recipe": recipe,
        "threat": {"norm": "linf", "epsilon_255": epsilon_255},
    }
    data = SimpleNamespace(
        train_indices=range(10 * recipe["batch_size"]),
        evaluation=None,
        evaluation_indices=[],
        synthetic=None,
    )
    return Plan(spec, data, Device(torch.device("cpu")))


def with_attack(recipe: dict, **changes: object) -> dict:
    """The recipe with other settings of its attack."""
    return {**recipe, "attack": {**recipe["attack"], **changes}}
