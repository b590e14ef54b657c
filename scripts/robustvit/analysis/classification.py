"""Classifying perturbations with a model that had no part in making them (spec E12, Table 9)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from robustvit.analysis.controls import apply_control
from robustvit.analysis.significance import TOP, two_sided_p_value
from robustvit.core import provenance
from robustvit.core.files import read_json
from robustvit.core.progress import Progress
from robustvit.data.evaluation_images import (
    as_pixels,
    interpolation,
    resize_and_crop,
    stack_images,
)
from robustvit.data.reading import TfdsImages
from robustvit.evaluation import checks
from robustvit.evaluation.shards import load_model
from robustvit.evaluation.statistics import proportion
from robustvit.training.devices import Device

ITSELF = "perturbation"  # the pictures as they are stored, among the controls


def classify(
    spec: dict, manifest: Path, weights: Path, device: Device
) -> tuple[pa.Table, dict, dict]:
    """Classify every perturbation of a set, and its controls.

    Args:
        spec: CLASSIFY.
        manifest: manifest.json of the perturbation set.
        weights: weights of the classifier.
        device: where to compute.

    Returns:
        Rows (index, example_id, label, prediction, rank of the label: 0 is the best, and the last
        two for each control, as "<control>_prediction" and "<control>_rank"), the summary
        {"top1", "top5", "chance_top1", "p_value_top1", "controls": {name: the same}, …} and
        metadata of the rows.

    Raises:
        UserError: for labels that the classifier does not have, logits that are not finite, or an
            unknown control.
    """
    started = time.perf_counter()
    made, controls = read_json(manifest), list(spec.get("controls") or [])
    reading = reading_spec(made, spec)
    data = TfdsImages(manifest, reading)
    model = load_model(spec["model"], weights, device)
    labels = torch.tensor(data.labels)
    checks.require_labels(labels, spec["model"]["num_classes"], str(manifest))
    found = _rank(spec, data, model, reading, controls, device)
    names = {key: spec[key] for key in ("semantics", "generator", "classifier")}
    seconds = time.perf_counter() - started
    summary = {
        **names,
        "num_examples": len(data),
        "stand_in": bool(made.get("stand_in")),
        **found[ITSELF].summary(data.labels),
        "controls": {name: found[name].summary(data.labels) for name in controls},
        "images": {key: reading[key] for key in ("image_size", "crop_pct", "interpolation")},
        "perturbation": made.get("perturbation"),
        "seed": spec["seed"],
        "seconds": round(seconds, 3),
        "provenance": provenance.collect(seed=spec["seed"], device=device.name, seconds=seconds),
    }
    return _rows(data, found), summary, names


def reading_spec(made: dict, spec: dict) -> dict:
    """DATASET_READ of a perturbation set, as the classifier takes its images."""
    split, images = next(iter(made["splits"])), spec.get("images") or {}
    return {
        "name": made["dataset"],
        "split": split,
        "num_classes": spec["num_classes"],
        "image_size": spec["model"]["image_size"],
        "crop_pct": images.get("crop_pct") or 1.0,
        "interpolation": images.get("interpolation") or "bicubic",
        "num_examples": None,
        "stand_in": bool(made.get("stand_in")),
    }


def _rank(
    spec: dict, data: TfdsImages, model: nn.Module, reading: dict, controls: list[str],
    device: Device,
) -> dict[str, Ranking]:  # fmt: skip
    """Classify the pictures and each kind of control picture."""
    found, size = {name: Ranking() for name in (ITSELF, *controls)}, spec["batch_size"]
    with Progress(len(data), "images", f"classify {spec['generator']}") as progress:
        for start in range(0, len(data), size):
            places = np.arange(start, min(start + size, len(data)))
            pictures, labels = data.images(places), torch.from_numpy(data.labels[places])
            for name, ranking in found.items():
                shown = pictures if name == ITSELF else _control(spec, name, data, places, pictures)
                logits = _logits(model, shown, reading, device)
                checks.require_finite(logits, f"{spec['classifier']} on {data.ids[start]}")
                ranking.add(logits, labels)
            progress.update(int(places[-1]) + 1)
    return found


def _control(
    spec: dict, name: str, data: TfdsImages, places: np.ndarray, pictures: list
) -> list[np.ndarray]:
    return [
        apply_control(name, picture, spec["seed"], data.ids[place])
        for place, picture in zip(places, pictures, strict=True)
    ]


@torch.no_grad()
def _logits(model: nn.Module, pictures: list, reading: dict, device: Device) -> Tensor:
    """Logits float32 [B, K] on the host, of pictures brought to the classifier's size."""
    method = interpolation(reading["interpolation"])
    size, crop_pct = reading["image_size"], reading["crop_pct"]
    sized = [resize_and_crop(picture, size, crop_pct, method) for picture in pictures]
    (pixels,) = device.put(as_pixels(stack_images(sized)))
    return model(pixels).float().cpu()


class Ranking:
    """Where classifications of one kind of picture place the labels, batch by batch."""

    def __init__(self) -> None:
        self._ranks: list[np.ndarray] = []
        self._predictions: list[np.ndarray] = []
        self._named = dict.fromkeys(TOP, 0)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in logits [B, K] of pictures with the labels [B]."""
        ranks = class_ranks(logits)
        self._ranks.append(ranks.gather(1, labels[:, None])[:, 0].numpy())
        self._predictions.append(logits.argmax(dim=1).numpy())
        for top in TOP:
            self._named[top] = self._named[top] + (ranks < top).sum(dim=0).numpy()

    @property
    def ranks(self) -> np.ndarray:
        """Rank of the label, int64 [N]; 0 is the best."""
        return np.concatenate(self._ranks)

    @property
    def predictions(self) -> np.ndarray:
        """Predicted class, int64 [N]."""
        return np.concatenate(self._predictions)

    def summary(self, labels: np.ndarray) -> dict:
        """Accuracies, and what they would be if the predictions knew nothing of the labels."""
        expected = {top: independent_share(self._named[top], labels) for top in TOP}
        found = summarise(self.ranks, expected)
        for top in TOP:
            found[f"verdict_top{top}"] = verdict(found[f"top{top}"], expected[top])
        return found


def class_ranks(logits: Tensor) -> Tensor:
    """How many other classes have a logit at least as large, int64 [B, K]; ties count against.

    A model that gives all classes the same logit knows nothing, so it may not be right by ties.
    """
    ordered = logits.contiguous().sort(dim=1).values
    return logits.shape[1] - 1 - torch.searchsorted(ordered, logits.contiguous())


def summarise(ranks: np.ndarray, expected: Mapping[int, float]) -> dict:
    """Top-1 and top-5 with 95% intervals, chance, and the two-sided p-value of answers at chance.

    Args:
        ranks: of the labels, int [N]; 0 is the best.
        expected: by top, what answers that know nothing of the labels reach, as a fraction.
    """
    summary: dict = {}
    for top in TOP:
        correct, total = int((ranks < top).sum()), len(ranks)
        summary[f"top{top}"] = proportion(correct, total)
        summary[f"chance_top{top}"] = expected[top]
        summary[f"p_value_top{top}"] = two_sided_p_value(correct, total, expected[top])
    return summary


def independent_share(named: Sequence[int], labels: np.ndarray) -> float:
    """Expected accuracy if the same predictions fell on the labels at random.

    For a set with equally many images of each of k classes it is 1/k (top-1) whatever is predicted;
    where classes differ in number, or most of the classifier's classes have no image, a constant
    answer may be right more or less often than that.

    Args:
        named: for how many images each class is among the top predictions, [K].
        labels: int [N].
    """
    counts = np.bincount(labels, minlength=len(named))
    return float((np.asarray(named) * counts).sum() / len(labels) ** 2)


def verdict(measured: dict, expected: float) -> str:
    """Whether `expected` lies in the 95% interval: "at chance", "above chance", "below chance"."""
    if measured["low"] > expected:
        return "above chance"
    return "below chance" if measured["high"] < expected else "at chance"


def _rows(data: TfdsImages, found: dict[str, Ranking]) -> pa.Table:
    columns = {
        "index": pa.array(range(len(data)), pa.int64()),
        "example_id": pa.array(list(data.ids), pa.string()),
        "label": pa.array(data.labels, pa.int32()),
    }
    for name, ranking in found.items():
        start = "" if name == ITSELF else f"{name}_"
        columns[f"{start}prediction"] = pa.array(ranking.predictions, pa.int32())
        columns[f"{start}rank"] = pa.array(ranking.ranks, pa.int32())
    return pa.table(columns)
