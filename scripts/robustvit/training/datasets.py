"""Opening the data of a training: what is trained on, and what is evaluated on between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robustvit.core.errors import UserError, unknown_name
from robustvit.data.augmentation import train_transform
from robustvit.data.reading import TfdsImages
from robustvit.data.selection import selected_indices
from robustvit.training.loading import EvaluationExamples, TrainExamples
from robustvit.training.sampling import Synthetic, split_holdout

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
        synthetic: what is mixed into the batches, or None.
    """

    train: TrainExamples
    train_indices: Sequence[int]
    evaluation: EvaluationExamples
    evaluation_indices: Sequence[int]
    evaluation_split: str
    synthetic: Synthetic | None = None


def open_data(
    spec: dict, train_manifest: Path, eval_manifest: Path, synthetic_manifest: Path | None = None
) -> TrainingData:
    """Open the data sets of a TRAIN spec.

    With `selection: holdout` the evaluation between epochs runs on a held-out part of the
    training set and never sees the evaluation data set.

    Args:
        spec: the TRAIN spec.
        train_manifest: of the training set.
        eval_manifest: of the set that is evaluated on between epochs.
        synthetic_manifest: of the synthetic images, if the spec mixes some in.

    Raises:
        UserError: for an unknown selection, an impossible hold-out, or synthetic images that are
            missing or have other classes.
    """
    recipe, seed, read = spec["recipe"], spec["seed"], spec["dataset"]
    if recipe["selection"] not in SELECTIONS:
        raise unknown_name("selection", recipe["selection"], SELECTIONS, "recipe.selection")
    images = TfdsImages(train_manifest, read)
    transform = train_transform(recipe["augmentation"], read["image_size"])
    drawn, synthetic = _open_synthetic(spec, images, synthetic_manifest)
    train = TrainExamples(images, transform, seed, drawn)
    indices = _choose(images, recipe.get("max_train_examples"), read)
    if recipe["selection"] == "holdout":
        fraction = recipe.get("holdout_fraction") or 0.0
        indices, held_out = split_holdout(indices, images.ids, fraction, read["name"])
        return TrainingData(
            train, indices, EvaluationExamples(images, read, seed), held_out, "holdout", synthetic
        )
    others = TfdsImages(eval_manifest, spec["eval_dataset"])
    chosen = _choose(others, recipe.get("evaluate_examples"), spec["eval_dataset"])
    evaluation = EvaluationExamples(others, spec["eval_dataset"], seed)
    return TrainingData(train, indices, evaluation, chosen, "test", synthetic)


def _open_synthetic(
    spec: dict, images: TfdsImages, manifest: Path | None
) -> tuple[TfdsImages | None, Synthetic | None]:
    """Open the synthetic images that go with the real ones; their labels have to mean the same."""
    settings = spec.get("synthetic")
    if (settings is None) != (manifest is None):
        raise UserError(
            "`synthetic` in --spec and --synthetic-dataset belong together: give both or none"
        )
    if settings is None:
        return None, None
    drawn = TfdsImages(manifest, settings["dataset"])
    if drawn.classes != images.classes:
        raise UserError(
            f"experiments.{spec['experiment']}.synthetic.dataset: {settings['dataset']['name']} "
            f"has the classes {', '.join(drawn.classes[:4])}, … but {spec['dataset']['name']} has "
            f"{', '.join(images.classes[:4])}, …; expected the same in the same order"
        )
    return drawn, Synthetic(len(drawn), settings["ratio"])


def _choose(images: TfdsImages, count: int | None, spec: dict) -> np.ndarray:
    """Pick `count` examples (all if there are not more), balanced over classes."""
    count = None if count is None else min(count, len(images))
    return selected_indices(images.labels, {**spec, "num_examples": count})
