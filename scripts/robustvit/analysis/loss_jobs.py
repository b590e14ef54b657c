"""A job that measures losses under attack: images, repetitions, and going on after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from robustvit.analysis.attack_losses import chunks, losses_of, rows_of, run_seeds, summarise
from robustvit.core import provenance
from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path, read_json, sha256
from robustvit.core.progress import Progress
from robustvit.core.sources import code_digest
from robustvit.data.evaluation_images import load_batch
from robustvit.data.reading import TfdsImages
from robustvit.data.selection import selected_indices
from robustvit.evaluation import checks
from robustvit.evaluation.shards import Shard, example_seeds, load_model, predict
from robustvit.models.entry_points import model_plugins
from robustvit.training.devices import Device

NAMES = ("analysis", "experiment", "epoch")
IMAGES = ("image_size", "crop_pct", "interpolation", "num_examples")


def measure_losses(
    spec: dict, manifest: Path, weights: Path, device: Device, work_dir: Path
) -> tuple[pa.Table, dict]:
    """Measure losses and accuracies under PGD of several numbers of steps.

    Args:
        spec: LOSSES.
        manifest: manifest.json of the data set.
        weights: weights of the model.
        device: where to compute.
        work_dir: keeps the finished parts, so that a job that was killed goes on with the next.

    Returns:
        Rows (see `attack_losses.rows_of`) and the summary {"analysis", "experiment", "epoch",
        "num_examples", "steps": [see `attack_losses.summarise`], …}.

    Raises:
        UserError: for ε = 0, labels that the model does not have, or too few correct images.
    """
    started = time.perf_counter()
    if not spec["threat"]["epsilon_255"] > 0:
        raise UserError("attack_losses: expected epsilon_255 of more than 0, for instance 4")
    model = load_model(spec["model"], weights, device)
    folder = work_dir / _key(spec, manifest, weights)
    found, index = _measure(spec, manifest, model, device, folder)
    seconds = time.perf_counter() - started
    summary = {
        **{name: spec[name] for name in NAMES},
        "dataset": spec["dataset"]["name"],
        "split": spec["dataset"]["split"],
        "stand_in": spec["dataset"]["stand_in"],
        "images": {key: spec["dataset"].get(key) for key in IMAGES},
        "threat": spec["threat"],
        **{key: spec[key] for key in ("step_factor", "step_for", "only_correct")},
        "num_examples": len(index),
        "seeds": spec["seeds"],
        "steps": summarise(found),
        "seconds": round(seconds, 3),
        "provenance": provenance.collect(seed=spec["seed"], device=device.name, seconds=seconds),
    }
    return rows_of(found, index), summary


def _measure(
    spec: dict, manifest: Path, model: nn.Module, device: Device, folder: Path
) -> tuple[dict, np.ndarray]:
    """Measure part by part, so that few images are in memory at a time.

    Returns:
        Repetition to number of steps to losses and correctness, each [N]; places int64 [N].
    """
    kept: dict[int, list[dict]] = {run: [] for run in range(spec["seeds"])}
    index = []
    data = TfdsImages(manifest, spec["dataset"])
    total = spec["only_correct"] or len(selected_indices(data.labels, spec["dataset"]))
    with Progress(total * len(kept), "images", f"losses of {spec['experiment']}") as progress:
        for number, part in enumerate(_parts(spec, data, manifest, model, device)):
            index.append(part.index)
            for run, found in kept.items():
                found.append(_kept(folder / f"{run}-{number}.npz", model, part, run, spec))
            progress.update(sum(map(len, index)) * len(kept))
    joined = {
        run: {s: _joined([by_steps[s] for by_steps in found]) for s in found[0]}
        for run, found in kept.items()
    }
    return joined, np.concatenate(index)


def discard_parts(spec: dict, manifest: Path, weights: Path, work_dir: Path) -> None:
    """Remove the finished parts of a job whose results have been written."""
    shutil.rmtree(work_dir / _key(spec, manifest, weights), ignore_errors=True)


def _key(spec: dict, manifest: Path, weights: Path) -> str:
    code = code_digest("measure_losses.py", model_plugins(spec["model"]))
    text = json.dumps([spec, read_json(manifest)["sha256"], sha256(weights), code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parts(
    spec: dict, data: TfdsImages, manifest: Path, model: nn.Module, device: Device
) -> Iterator[Shard]:
    """The images of the analysis, part by part; with `only_correct` the first of them."""
    dataset, wanted = spec["dataset"], spec["only_correct"]
    selected = selected_indices(data.labels, dataset)
    checks.require_labels(torch.tensor(data.labels), spec["model"]["num_classes"], str(manifest))
    size, left = dataset["image_size"], wanted or len(selected)
    count = chunks(len(selected), size) if not wanted else -(-len(selected) // (2 * wanted))
    for index in np.array_split(selected, min(count, len(selected))):
        images, labels = load_batch(data, dataset, index)
        checks.require_pixels(images, str(manifest))
        ids = [data.ids[i] for i in index]
        images, labels, seeds = device.put(
            images, labels, example_seeds(spec["seed"], dataset, ids)
        )
        if wanted:
            right = predict(model, images, spec["batch_size"]).argmax(dim=1) == labels
            chosen = right.nonzero().flatten()[:left]
            images, labels, seeds = images[chosen], labels[chosen], seeds[chosen]
            index, ids = index[chosen.cpu().numpy()], [ids[i] for i in chosen.tolist()]
        left -= len(index)
        if len(index):
            yield Shard(images, labels, index, ids, seeds, len(selected))
        if left <= 0:
            return
    if wanted:
        raise UserError(
            f"{manifest}: the model is right about {wanted - left} images of {len(selected)}, but "
            f"attack_losses asks for {wanted}. Lower only_correct, or train longer."
        )


def _kept(path: Path, model: nn.Module, part: Shard, run: int, spec: dict) -> dict:
    """Results of one part and repetition: number of steps to losses and correctness."""
    if not path.exists():
        found: dict[int, list] = {}
        for start in range(0, len(part.images), spec["batch_size"]):
            rows = slice(start, start + spec["batch_size"])
            seeds = run_seeds(part.seeds[rows], run)
            batch = losses_of(model, part.images[rows], part.labels[rows], seeds, spec)
            for steps, pair in batch.items():
                found.setdefault(steps, []).append([value.cpu().numpy() for value in pair])
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for steps, pairs in found.items():
            losses, correct = _joined(pairs)
            arrays |= {f"loss{steps}": losses, f"correct{steps}": correct}
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)
    with np.load(path, allow_pickle=False) as stored:
        return {s: (stored[f"loss{s}"], stored[f"correct{s}"]) for s in sorted(spec["steps"])}


def _joined(pairs: list) -> tuple[np.ndarray, np.ndarray]:
    losses, correct = zip(*pairs, strict=True)
    return np.concatenate(losses), np.concatenate(correct)
