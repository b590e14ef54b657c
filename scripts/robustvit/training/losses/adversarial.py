"""Adversarial training (Madry et al. 2018): the criterion on attacked images only."""

from __future__ import annotations

from robustvit.training.attacking import attack_batch
from robustvit.training.contracts import Batch, LossContext, LossOutput


def compute(batch: Batch, context: LossContext) -> LossOutput:
    """Attack the batch, then return the training criterion on the result.

    The released code also forwards the clean images, only to log their accuracy; that pass is
    left out (it costs a fifth of an FGSM step, and updated BatchNorm's statistics).
    """
    logits = context.model(attack_batch(batch, context))
    return LossOutput(context.criterion(logits, batch.targets), {"adversarial": logits})
