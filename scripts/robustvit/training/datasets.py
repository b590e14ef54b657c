"""Opening the data of a training: what is trained on, and what is evaluated on between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustvit.core.errors import unknown_name
from robustvit.data.reading import TfdsImages, select_examples
from robustvit.data.transforms import eval_transform, train_transform
from robustvit.training.loading import EvaluationExamples, Images, TrainExamples
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
    recipe, seed = spec["recipe"], spec["seed"]
    if recipe["selection"] not in SELECTIONS:
        raise unknown_name("selection", recipe["selection"], SELECTIONS, "recipe.selection")
    images = TfdsImages(train_manifest, spec["dataset"])
    transform = train_transform(recipe["augmentation"], spec["dataset"]["image_size"])
    train = TrainExamples(images, transform, seed)
    indices = choose(images, recipe.get("max_train_examples"), spec["dataset"])
    if recipe["selection"] == "holdout":
        indices, held_out = split_holdout(
            indices, images.ids, recipe.get("holdout_fraction") or 0.0, spec["dataset"]["name"]
        )
        evaluation = EvaluationExamples(images, eval_transform(spec["dataset"]), seed)
        return TrainingData(train, indices, evaluation, held_out, "holdout")
    others = TfdsImages(eval_manifest, spec["eval_dataset"])
    evaluation = EvaluationExamples(others, eval_transform(spec["eval_dataset"]), seed)
    chosen = choose(others, recipe.get("evaluate_examples"), spec["eval_dataset"])
    return TrainingData(train, indices, evaluation, chosen, "test")


def choose(images: Images, count: int | None, dataset: dict) -> np.ndarray:
    """Pick a class-balanced subset of `count` examples, or all; always the same ones."""
    if count is None or count >= len(images):
        return np.arange(len(images))
    return select_examples(images.labels, count, f"{dataset['name']}:{dataset['split']}")
