"""Accuracy on clean images between epochs."""

from __future__ import annotations

import torch

from robustvit.training.contracts import EvaluationContext


@torch.no_grad()
def evaluate(context: EvaluationContext) -> dict[str, float]:
    """Return {"clean": share of correct predictions}, with the model in eval mode."""
    model = context.model.eval()
    correct, seen = 0, 0
    for batch in context.batches:
        context.check()
        images, labels, _ = context.put(*batch)
        with context.autocast():
            correct = correct + (model(images).argmax(dim=1) == labels).sum()
        seen += len(labels)
    return {"clean": float(correct) / seen}
