"""Accuracy under the training's own attack and under a stronger one, on the same few images.

A model that has overfitted catastrophically withstands the single step that it is trained with,
better and better, and no longer several steps. Either number alone shows nothing of it.
"""

from __future__ import annotations

import torch

from robustvit.training.attacking import attack_images
from robustvit.training.contracts import EvaluationContext


@torch.no_grad()
def evaluate(context: EvaluationContext) -> dict[str, float]:
    """Return {"weak": …, "strong": …, "watched": images}; accuracies in eval mode.

    Args:
        context: `attack` is the training's own at the final ε, `strong` the stronger one.
    """
    model = context.model.eval()
    counts = context.put(torch.zeros(3))[0]
    for batch in context.batches:
        images, labels, seeds = context.put(*batch)
        with context.autocast():
            for place, settings in enumerate((context.attack, context.strong)):
                attacked = attack_images(
                    model, images, labels, seeds, settings, after_step=context.after_step
                )
                counts[place] += (model(attacked).argmax(dim=1) == labels).sum()
        counts[2] += len(labels)
        context.after_step()
    weak, strong, seen = context.total(counts).tolist()
    return {"weak": weak / seen, "strong": strong / seen, "watched": int(seen)}
