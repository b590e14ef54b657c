"""Classifying perturbations with a model that had no part in making them (spec E12, Table 9)."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from torch import Tensor

from robustvit.core import provenance
from robustvit.core.files import read_json
from robustvit.evaluation import checks
from robustvit.evaluation.shards import load_model, load_shard, predict
from robustvit.evaluation.statistics import binomial_p_value, proportion
from robustvit.training.devices import Device

TOP = (1, 5)


def classify(
    spec: dict, manifest: Path, weights: Path, device: Device
) -> tuple[pa.Table, dict, dict]:
    """Classify every perturbation of a set.

    Args:
        spec: CLASSIFY.
        manifest: manifest.json of the perturbation set.
        weights: weights of the classifier.
        device: where to compute.

    Returns:
        Rows (index, example_id, label, prediction, rank of the label: 0 is the best), the summary
        {"top1", "top5", "chance_top1", "p_value_top1", …} and metadata of the rows.

    Raises:
        UserError: for labels that the classifier does not have, or logits that are not finite.
    """
    started = time.perf_counter()
    made = read_json(manifest)
    reading = {**spec, "dataset": reading_spec(made, spec), "shard": {"index": 0, "count": 1}}
    shard = load_shard(reading, manifest, device)
    model = load_model(spec["model"], weights, device)
    logits = predict(model, shard.images, spec["batch_size"])
    checks.require_finite(logits, str(weights))
    checks.require_labels(shard.labels, logits.shape[1], str(manifest))
    ranks, predictions = label_ranks(logits, shard.labels), logits.argmax(dim=1).cpu().numpy()
    table = pa.table(
        {
            "index": pa.array(shard.index, pa.int64()),
            "example_id": pa.array(shard.ids, pa.string()),
            "label": pa.array(shard.labels.cpu().numpy(), pa.int32()),
            "prediction": pa.array(predictions, pa.int32()),
            "rank": pa.array(ranks, pa.int32()),
        }
    )
    names = {key: spec[key] for key in ("semantics", "generator", "classifier")}
    seconds = time.perf_counter() - started
    summary = {
        **names,
        "num_examples": len(ranks),
        "stand_in": bool(made.get("stand_in")),
        **summarise(ranks, logits.shape[1]),
        "perturbation": made.get("perturbation"),
        "seed": spec["seed"],
        "seconds": round(seconds, 3),
        "provenance": provenance.collect(seed=spec["seed"], device=device.name, seconds=seconds),
    }
    return table, summary, names


def reading_spec(made: dict, spec: dict) -> dict:
    """DATASET_READ of a perturbation set, at the size that the classifier takes."""
    split = next(iter(made["splits"]))
    return {
        "name": made["dataset"],
        "split": split,
        "num_classes": spec["num_classes"],
        "image_size": spec["model"]["image_size"],
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "num_examples": None,
        "stand_in": bool(made.get("stand_in")),
    }


def label_ranks(logits: Tensor, labels: Tensor) -> np.ndarray:
    """How many classes have a larger logit than the label, int [N]; ties count against it.

    A model that gives all classes the same logit knows nothing, so it may not be right by ties.
    """
    own = logits.gather(1, labels[:, None])
    return ((logits >= own).sum(dim=1) - 1).cpu().numpy()


def summarise(ranks: np.ndarray, num_classes: int) -> dict:
    """Top-1 and top-5 with 95% intervals, chance, and the p-value of guessing doing as well."""
    summary: dict = {}
    for top in TOP:
        correct, total = int((ranks < top).sum()), len(ranks)
        chance = min(top / num_classes, 1.0)
        summary[f"top{top}"] = proportion(correct, total)
        summary[f"chance_top{top}"] = chance
        summary[f"p_value_top{top}"] = binomial_p_value(correct, total, chance)
    return summary
