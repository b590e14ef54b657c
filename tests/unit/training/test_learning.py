"""Training does learn: a small model learns 64 images of noise by heart, attacked ones included."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training_samples import CLASSES, SIZE, SOURCE, train_spec

from robustvit.data.building import DatasetPlan, Example
from robustvit.data.writing import write_dataset
from robustvit.training.datasets import open_data
from robustvit.training.devices import open_device
from robustvit.training.engine import Trainer
from robustvit.training.plan import Plan
from robustvit.training.state import StateFolder


def noise(folder: Path) -> Path:
    """Write 64 images of noise whose labels have nothing to do with them."""

    def examples() -> Iterator[Example]:
        rng = np.random.default_rng(0)
        for split in ("train", "test"):
            for number in range(64):
                pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                target = io.BytesIO()
                Image.fromarray(pixels).save(target, "PNG")
                label = int(rng.integers(len(CLASSES)))
                yield Example(split, f"{split}/{number:04}", label, target.getvalue())

    plan = DatasetPlan(CLASSES, ["train", "test"], examples, 128, "png")
    manifest = folder / "manifest.json"
    write_dataset(plan, manifest, dataset="noise", builder="test", source=SOURCE)
    return manifest


@pytest.mark.parametrize("loss", ["adversarial", "trades"])
def test_a_model_learns_64_images_by_heart_with_robust_accuracy_100_percent(loss, tmp_path):
    spec = train_spec(
        loss={"name": loss, "beta": 1.0},
        epochs=60,
        evaluate_every=60,
        evaluate_examples=None,
        drop_path=0.0,
        label_smoothing=0.0,
        optimizer={"lr": 4e-3, "weight_decay": 0.0},
        augmentation={"crop": "none", "hflip": 0.0},
    )
    spec["eval_dataset"] = spec["dataset"]  # the images that it is trained on
    spec["model"]["args"] |= {"embed_dim": 32, "num_heads": 4}
    manifest = noise(tmp_path / "noise")
    plan = Plan(spec, open_data(spec, manifest, manifest), open_device("cpu", 1))
    run = Trainer(plan, StateFolder(tmp_path / "states"), save_every=1e9).train()
    assert run.rows[0]["train_robust_top1"] < 0.5
    assert run.rows[-1]["eval_robust_top1"] == 1.0
    assert run.rows[-1]["eval_clean_top1"] == 1.0
