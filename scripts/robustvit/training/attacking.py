"""The attack inside a training step. Only adversarial losses and evaluations import this."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from robustvit.attacks.support.frozen import attack_mode
from robustvit.core import plugins
from robustvit.core.errors import UserError
from robustvit.core.random import fold, uniform
from robustvit.training.contracts import AttackSettings, Batch, LossContext

TARGET_STREAM = 0x7A69  # apart from the words that an attack draws from an example's seed


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
        UserError: if the plug-in `settings.name` cannot be used in training, or not like this.
    """
    # With ε = 0 (the first epoch of the ε warm-up) the ball is the image itself.
    if settings.epsilon == 0:
        return images
    perturb = _training_attack(settings)
    # Only TRADES has a reference: an attack that does not know it serves every other loss.
    reference = options.pop("reference", None)
    if reference is not None:
        options |= {"loss": "kl", "reference": reference}
    if settings.targeted:
        labels = _targets(labels, seeds, settings, reference)
        options["targeted"] = True
    if isinstance(model, DistributedDataParallel):  # its hooks serve the training's passes only
        model = model.module
    with attack_mode(model, settings.mode):
        return perturb(
            model, images, labels, epsilon=settings.epsilon, norm=settings.norm,
            steps=settings.steps, step_size=settings.step_size, seeds=seeds,
            random_start=settings.random_start, **options,
        )  # fmt: skip


def _training_attack(settings: AttackSettings) -> Callable[..., Tensor]:
    perturb = getattr(plugins.load("robustvit.attacks", settings.name), "perturb", None)
    if perturb is None:
        raise UserError(
            f'recipe.attack.name: "{settings.name}" cannot be used in training; use "pgd"'
        )
    if settings.targeted and "targeted" not in inspect.signature(perturb).parameters:
        raise UserError(
            f'recipe.attack.targeted: "{settings.name}" has no targeted form; use "pgd" or false'
        )
    return perturb


def _targets(
    labels: Tensor, seeds: Tensor, settings: AttackSettings, reference: Tensor | None
) -> Tensor:
    if reference is not None:
        raise UserError(
            "recipe.attack.targeted: this loss attacks the clean probabilities and has no target; "
            'set it to false, or use the loss "adversarial"'
        )
    return draw_targets(labels, seeds, settings.num_classes)


def draw_targets(labels: Tensor, seeds: Tensor, num_classes: int) -> Tensor:
    """Draw another class than its label for each example, uniformly, from the example's stream.

    Args:
        labels: int64 [B].
        seeds: int64 [B].
        num_classes: at least 2.

    Returns:
        int64 [B].
    """
    draw = uniform(fold(seeds, TARGET_STREAM), (), labels.device) * (num_classes - 1)
    return (labels + 1 + draw.long().clamp(max=num_classes - 2)) % num_classes
