"""Accuracy on clean and on attacked images between epochs, with the training's own attack."""

from __future__ import annotations

import torch

from robustvit.training.attacking import attack_images
from robustvit.training.contracts import EvaluationContext


@torch.no_grad()
def evaluate(context: EvaluationContext) -> dict[str, float]:
    """Return {"clean": …, "robust": …}: shares of correct predictions in eval mode.

    The attack is the recipe's with the final ε, as in the released code; it guides the choice of
    an epoch and is no measurement of robustness, which is the evaluation stage's task.
    """
    model = context.model.eval()
    counts = context.put(torch.zeros(3))[0]
    for batch in context.batches:
        images, labels, seeds = context.put(*batch)
        with context.autocast():
            attacked = attack_images(
                model, images, labels, seeds, context.attack, after_step=context.after_step
            )
            counts[0] += (model(images).argmax(dim=1) == labels).sum()
            counts[1] += (model(attacked).argmax(dim=1) == labels).sum()
        counts[2] += len(labels)
        context.after_step()
    clean, robust, seen = context.total(counts).tolist()
    return {"clean": clean / seen, "robust": robust / seen}
