"""TRADES (Zhang et al. 2019) as the paper's released code has it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from robustvit.attacks.support.frozen import attack_mode
from robustvit.training.attacking import attack_batch
from robustvit.training.contracts import Batch, LossContext, LossOutput


def compute(batch: Batch, context: LossContext) -> LossOutput:
    """Return criterion(f(x), y) + β / B · KL(softmax f(x) ‖ softmax f(x')), summed over the batch.

    x' maximises the summed divergence from the clean probabilities in the attack's mode. The
    gradient of the outer loss goes through both branches. β is `recipe.loss.beta` (6 in the
    paper).
    """
    model, beta = context.model, context.options.get("beta", 6.0)
    adversarial_images = attack_batch(
        batch, context, reference=_clean_probabilities(batch, context)
    )
    clean, adversarial = model(batch.images), model(adversarial_images)
    divergence = F.kl_div(
        F.log_softmax(adversarial.float(), dim=1),
        F.log_softmax(clean.float(), dim=1),
        reduction="batchmean",
        log_target=True,
    )
    loss = context.criterion(clean, batch.targets) + beta * divergence
    return LossOutput(loss, {"clean": clean, "adversarial": adversarial})


@torch.no_grad()
def _clean_probabilities(batch: Batch, context: LossContext) -> torch.Tensor:
    """Softmax of the clean images in the attack's mode, float32 [B, K]."""
    mode = context.attack.mode if context.attack else "eval"
    with attack_mode(context.model, mode):
        return context.model(batch.images).float().softmax(dim=1)
