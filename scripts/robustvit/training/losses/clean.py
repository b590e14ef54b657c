"""Standard training: the criterion on the clean images."""

from __future__ import annotations

from robustvit.training.contracts import Batch, LossContext, LossOutput


def compute(batch: Batch, context: LossContext) -> LossOutput:
    """Return the training criterion on the images as they are."""
    logits = context.model(batch.images)
    return LossOutput(context.criterion(logits, batch.targets), {"clean": logits})
