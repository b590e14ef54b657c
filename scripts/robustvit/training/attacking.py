"""The attack inside a training step. Only adversarial losses and evaluations import this."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from robustvit.attacks.support.frozen import attack_mode
from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.training.contracts import AttackSettings, Batch, LossContext


def attack_batch(batch: Batch, context: LossContext, reference: Tensor | None = None) -> Tensor:
    """Attack a training batch with the recipe's settings.

    Args:
        batch: the examples.
        context: its `attack` has to be set.
        reference: clean probabilities [B, K]; if given the attack maximises the summed KL
            divergence from them (TRADES) instead of the cross-entropy.

    Returns:
        float32 [B, 3, H, W] in [0, 1], detached.
    """
    if context.attack is None:
        raise UserError(
            f'recipe.loss "{context.options.get("name")}" needs a threat; give the experiment '
            '`threat: {norm: linf, epsilon_255: 4}` or use the loss "clean"'
        )
    return attack_images(
        context.model, batch.images, batch.labels, batch.seeds, context.attack,
        reference=reference, after_step=context.after_step,
    )  # fmt: skip


def attack_images(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    seeds: Tensor,
    settings: AttackSettings,
    **options: object,
) -> Tensor:
    """Attack images [B, 3, H, W] in [0, 1] with the model in `settings.mode`, frozen.

    Raises:
        UserError: if the plug-in `settings.name` cannot be used in training.
    """
    # With ε = 0 (the first epoch of the ε warm-up) the ball is the image itself.
    if settings.epsilon == 0:
        return images
    perturb = getattr(plugins.load("robustvit.attacks", settings.name), "perturb", None)
    if perturb is None:
        raise UserError(
            f'recipe.attack.name: "{settings.name}" cannot be used in training; use "pgd"'
        )
    # Only TRADES has a reference: an attack that does not know it serves every other loss.
    reference = options.pop("reference", None)
    if reference is not None:
        options |= {"loss": "kl", "reference": reference}
    if isinstance(model, DistributedDataParallel):  # its hooks serve the training's passes only
        model = model.module
    with attack_mode(model, settings.mode):
        return perturb(
            model, images, labels, epsilon=settings.epsilon, norm=settings.norm,
            steps=settings.steps, step_size=settings.step_size, seeds=seeds,
            random_start=settings.random_start, **options,
        )  # fmt: skip
