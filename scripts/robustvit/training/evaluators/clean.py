"""Accuracy on clean images between epochs."""

from __future__ import annotations

import torch

from robustvit.training.contracts import EvaluationContext


@torch.no_grad()
def evaluate(context: EvaluationContext) -> dict[str, float]:
    """Return {"clean": share of correct predictions}, with the model in eval mode."""
    model = context.model.eval()
    counts = context.put(torch.zeros(2))[0]
    for batch in context.batches:
        images, labels, _ = context.put(*batch)
        with context.autocast():
            counts[0] += (model(images).argmax(dim=1) == labels).sum()
            counts[1] += len(labels)
        context.after_step()
    correct, seen = context.total(counts).tolist()
    return {"clean": correct / seen}
