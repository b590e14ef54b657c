"""Opening the data of a training: what is trained on, and what is evaluated on between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustvit.core.errors import unknown_name
from robustvit.data.augmentation import train_transform
from robustvit.data.reading import TfdsImages
from robustvit.data.selection import selected_indices
from robustvit.training.loading import EvaluationExamples, TrainExamples
from robustvit.training.sampling import split_holdout

SELECTIONS = ("last", "holdout", "test")


@dataclass(frozen=True)
class TrainingData:
    """Examples and which of them are used.

    Attributes:
        train: augmented training examples.
        train_indices: those that are trained on.
        evaluation: examples to evaluate on between epochs.
        evaluation_indices: those that are.
        evaluation_split: "test" (the evaluation data set) or "holdout" (of the training set).
    """

    train: TrainExamples
    train_indices: Sequence[int]
    evaluation: EvaluationExamples
    evaluation_indices: Sequence[int]
    evaluation_split: str


def open_data(spec: dict, train_manifest: Path, eval_manifest: Path) -> TrainingData:
    """Open the data sets of a TRAIN spec.

    With `selection: holdout` the evaluation between epochs runs on a held-out part of the
    training set and never sees the evaluation data set.

    Raises:
        UserError: for an unknown selection or an impossible hold-out.
    """
    recipe, seed, read = spec["recipe"], spec["seed"], spec["dataset"]
    if recipe["selection"] not in SELECTIONS:
        raise unknown_name("selection", recipe["selection"], SELECTIONS, "recipe.selection")
    images = TfdsImages(train_manifest, read)
    transform = train_transform(recipe["augmentation"], read["image_size"])
    train = TrainExamples(images, transform, seed)
    indices = _choose(images, recipe.get("max_train_examples"), read)
    if recipe["selection"] == "holdout":
        fraction = recipe.get("holdout_fraction") or 0.0
        indices, held_out = split_holdout(indices, images.ids, fraction, read["name"])
        return TrainingData(
            train, indices, EvaluationExamples(images, read, seed), held_out, "holdout"
        )
    others = TfdsImages(eval_manifest, spec["eval_dataset"])
    chosen = _choose(others, recipe.get("evaluate_examples"), spec["eval_dataset"])
    evaluation = EvaluationExamples(others, spec["eval_dataset"], seed)
    return TrainingData(train, indices, evaluation, chosen, "test")


def _choose(images: TfdsImages, count: int | None, spec: dict) -> np.ndarray:
    """Pick `count` examples (all if there are not more), balanced over classes."""
    count = None if count is None else min(count, len(images))
    return selected_indices(images.labels, {**spec, "num_examples": count})
