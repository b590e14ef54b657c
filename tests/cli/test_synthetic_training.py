"""From an archive of synthetic images in a mirror to a training that mixes them in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "training"))

from training_samples import MODEL, train_spec  # noqa: E402

from robustvit.core.files import read_json  # noqa: E402
from robustvit.data.archive_building import build_archive  # noqa: E402
from robustvit.data.builders import cifar_ddpm as builder  # noqa: E402
from robustvit.data.building import DatasetPlan, Example  # noqa: E402
from robustvit.data.cifar10_classes import CIFAR10_CLASSES  # noqa: E402
from robustvit.data.png import encode_png  # noqa: E402
from robustvit.data.source_files import read_source  # noqa: E402
from robustvit.data.sources import cifar_ddpm as archive  # noqa: E402
from robustvit.data.writing import About, write_dataset  # noqa: E402


def write(plan: DatasetPlan, source: dict, folder: Path, name: str) -> Path:
    path = folder / name / "manifest.json"
    write_dataset(plan, path, dataset=name, builder=name, source=source)
    return path


def real_images(folder: Path) -> Path:
    """Forty images with CIFAR-10's classes."""
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    examples = [
        Example("train", f"{place:05d}", place % 10, encode_png(image))
        for place, image in enumerate(images)
    ]
    plan = DatasetPlan(list(CIFAR10_CLASSES), ["train"], lambda: iter(examples), encoding="png")
    source = {"stand_in": True, "origin": "stand-in", "sha256": {}}
    return write(plan, source, folder, "cifar10")


def synthetic_images(folder: Path) -> Path:
    """What somebody has put into a mirror, fetched and built."""
    mirror, fetched = folder / "mirror" / "cifar_ddpm", folder / "source"
    mirror.mkdir(parents=True), fetched.mkdir()
    images = np.random.default_rng(1).integers(0, 256, (100, 32, 32, 3), np.uint8)
    np.savez(mirror / "cifar10_ddpm.npz", image=images, label=np.arange(100) % 10)
    archive.fetch([str(folder / "mirror")], fetched)
    source = read_source(fetched / "source.json")
    path = folder / "cifar_ddpm" / "manifest.json"
    about = About("cifar_ddpm", "cifar_ddpm", source)
    build_archive(builder.plan(source, {}), path, about, work_dir=folder / "work")
    return path


def reading(name: str) -> dict:
    return train_spec()["dataset"] | {"name": name, "num_classes": 10, "image_size": 32}


def test_a_training_mixes_in_the_images_of_an_archive(tmp_path):
    spec = train_spec(selection="holdout", holdout_fraction=0.2, epochs=1)
    spec |= {"dataset": reading("cifar10"), "eval_dataset": reading("cifar10")}
    spec |= {"model": MODEL | {"num_classes": 10, "image_size": 32}}
    spec["synthetic"] = {"ratio": 0.5, "dataset": reading("cifar_ddpm")}
    real = real_images(tmp_path / "real")
    synthetic = synthetic_images(tmp_path / "synthetic")
    folder = tmp_path / "results"
    flags = {
        "--dataset": real,
        "--eval-dataset": tmp_path / "nothing" / "manifest.json",  # a hold-out asks for none
        "--synthetic-dataset": synthetic,
        "--work-dir": folder / "work",
        "--weights": folder / "weights.safetensors",
        "--metrics": folder / "metrics.csv",
        "--steps": folder / "steps.csv",
        "--epochs": folder / "epochs.safetensors",
        "--config": folder / "config.yaml",
        "--card": folder / "model_card.md",
    }
    command = [sys.executable, str(ROOT / "scripts" / "train_model.py"), "--device", "cpu"]
    command += ["--spec", json.dumps(spec), *(str(part) for item in flags.items() for part in item)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert found["trained"]["steps"] == 32 // 8
    assert found["trained"]["synthetic_examples"] == 100
    assert found["inputs"]["synthetic"] == read_json(synthetic)["sha256"]
    assert found["inputs"]["evaluation"] is None
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert "50% of each batch from the 100 synthetic images of cifar_ddpm" in card
