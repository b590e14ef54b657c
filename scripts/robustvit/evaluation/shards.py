"""The examples and the model of one job, ready on its device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from robustvit.core.errors import UserError
from robustvit.core.seeding import derive_seed
from robustvit.data.evaluation_images import load_batch
from robustvit.data.reading import TfdsImages
from robustvit.data.selection import selected_indices
from robustvit.evaluation import checks
from robustvit.models.factory import build_model
from robustvit.models.trial import require_classifier
from robustvit.models.weights import load_weights
from robustvit.training.devices import Device


@dataclass(frozen=True)
class Shard:
    """The examples of one job, on the device.

    Attributes:
        images: float32 [N, 3, H, W] in [0, 1].
        labels: int64 [N].
        index: int64 [N], places in the whole split.
        ids: names of the examples.
        seeds: int64 [N], one random stream per example.
        total: number of examples of all shards together.
    """

    images: Tensor
    labels: Tensor
    index: np.ndarray
    ids: list[str]
    seeds: Tensor
    total: int


def load_shard(spec: dict, manifest: str | Path, device: Device) -> Shard:
    """Read the examples of a shard; `spec` needs `dataset`, `shard` and `seed`.

    Raises:
        UserError: if there are fewer examples than shards, or pixels outside [0, 1].
    """
    dataset, place = spec["dataset"], spec["shard"]
    if not Path(manifest).is_file():
        raise UserError(
            f"{manifest}: no such file; expected a data set's manifest.json, for instance "
            "results/demo/datasets/cifar10/manifest.json"
        )
    data = TfdsImages(manifest, dataset)
    selected = selected_indices(data.labels, dataset)
    index = np.array_split(selected, place["count"])[place["index"]]
    if len(index) == 0:
        raise UserError(
            f"{manifest}: {len(selected)} examples in {place['count']} shards leave shard "
            f"{place['index']} empty. Use at most {len(selected)} shards."
        )
    images, labels = load_batch(data, dataset, index)
    checks.require_pixels(images, str(manifest))
    ids = [data.ids[i] for i in index]
    images, labels, seeds = device.put(images, labels, example_seeds(spec["seed"], dataset, ids))
    return Shard(images, labels, index, ids, seeds, len(selected))


def example_seeds(seed: int, dataset: dict, ids: Iterable[str]) -> Tensor:
    """Seeds of the examples' random streams, int64 [N]; `dataset` is a DATASET_READ."""
    purpose = (seed, "attack", dataset["name"], dataset["split"])
    return torch.tensor([derive_seed(*purpose, name) for name in ids], dtype=torch.int64)


def load_model(spec: dict, weights: str | Path, device: Device) -> nn.Module:
    """Build the MODEL `spec` with its weights, frozen, in evaluation mode, on the device."""
    # A seed keeps the global random state as it is; every weight is replaced.
    model = build_model(spec, seed=0)
    load_weights(model, weights)
    model = model.to(device.device).eval().requires_grad_(False)
    require_classifier(model, spec, str(weights))
    return model


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    """Logits float32 [N, K] of images [N, 3, H, W]."""
    return torch.cat([model(batch).float() for batch in images.split(batch_size)])
