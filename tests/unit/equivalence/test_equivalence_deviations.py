"""Where this project differs from the released code on purpose, each with its reason."""

from __future__ import annotations

import torch
from paper_recipes import CANONICAL, LIGHT, XCIT_S12, plan_of, with_attack
from torch import nn

from robustvit.attacks.pgd import perturb
from robustvit.attacks.support.frozen import attack_mode
from robustvit.data.augmentation import train_transform
from robustvit.models.counting import on_meta_device
from robustvit.training.contracts import AttackSettings, Batch, LossContext
from robustvit.training.losses import adversarial
from robustvit.training.optimizer import parameter_groups

EPSILON = 4 / 255


class Watched(nn.Module):
    """Counts forward passes by mode; has BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 2)
        )
        self.passes: list[str] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes.append("train" if self.training else "eval")
        return self.layers(images)


def compute(mode: str = "eval", steps: int = 2) -> Watched:
    model = Watched().train()
    images = torch.rand(6, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    batch = Batch(images, torch.arange(6) % 2, torch.arange(6))
    settings = AttackSettings("pgd", "linf", EPSILON, EPSILON, steps, mode=mode)
    adversarial.compute(batch, LossContext(model, nn.functional.cross_entropy, settings, {}))
    return model


def test_the_attack_runs_in_eval_mode_on_every_device():
    """Released: eval on GPU, train on TPU because of a fault of XLA there.

    One experiment would give different weights on different devices; the recipe says the mode.
    """
    assert LIGHT["attack"]["mode"] == "eval"
    assert plan_of(LIGHT).attack_at(0).mode == "eval"
    assert compute().passes == ["eval", "eval", "train"]
    assert plan_of(with_attack(LIGHT, mode="train")).attack_at(0).mode == "train"
    assert compute("train").passes == ["train", "train", "train"]


def test_batchnorm_sees_the_training_pass_and_nothing_else():
    """Released: a clean pass for the log and, on TPU, every step of the attack update it too.

    On TPU that held for the attacks on validation images as well: statistics of the test set
    leaked into the model. Here an attack works on copies of the buffers.
    """
    for mode in ("eval", "train"):
        assert compute(mode).layers[1].num_batches_tracked.item() == 1
    model = Watched().eval()
    before = model.layers[1].running_mean.clone()
    with attack_mode(model, "train"):
        model(torch.rand(6, 3, 2, 2))
    assert torch.equal(model.layers[1].running_mean, before)


def test_noise_belongs_to_the_example():
    """Released: drawn from the process' generator. Here neither batch nor device changes it."""
    model, images, labels = Watched().eval(), torch.full((4, 3, 2, 2), 0.5), torch.zeros(4).long()
    options = {"epsilon": EPSILON, "steps": 0, "step_size": EPSILON}
    whole = perturb(model, images, labels, seeds=torch.arange(4), **options)
    part = perturb(model, images[2:], labels[2:], seeds=torch.arange(2, 4), **options)
    assert torch.equal(whole[2:], part)


def test_a_patch_of_two_pixels_is_two_pixels():
    """Released: its loop set the last convolution to stride 1 too; no result used it."""
    stem = on_meta_device({**XCIT_S12, "patch_size": 2}).patch_embed.proj
    assert stem[6][0].stride == (2, 2)


def test_patterns_of_newer_timm_versions_are_not_followed():
    """timm 1.0.31 spares `pos_embed.*`; the paper's timm compared whole names, so it decayed."""
    model = on_meta_device(XCIT_S12).requires_grad_(True)
    assert "pos_embed.*" in model.no_weight_decay()
    decayed = {id(parameter) for parameter in parameter_groups(model, 0.5)[0]["params"]}
    assert id(model.pos_embed.token_projection.weight) in decayed


def test_the_l2_start_is_in_the_ball():
    """Released: a normal draw with mean −ε in every component; no published number uses it."""
    model, images = Watched().eval(), torch.full((64, 3, 2, 2), 0.5)
    found = perturb(
        model,
        images,
        torch.zeros(64).long(),
        epsilon=0.1,
        norm="l2",
        steps=0,
        step_size=0.1,
        seeds=torch.arange(64),
    )
    delta = (found - images).flatten(1)
    assert delta.norm(dim=1).max() <= 0.1 + 1e-6
    assert abs(delta.mean()) < 0.01


def test_randaugment_fills_with_imagenets_mean_in_every_recipe():
    """Released: with the recipe's mean, so grey 128 in the few runs normalised by 0.5.

    Augmentation does not know the normalisation here, which is a layer of the model.
    """
    transform = train_transform(CANONICAL["augmentation"], 224).randaugment.transform
    assert {op.kwargs["fillcolor"] for op in transform.ops} == {(124, 116, 104)}


def test_one_mixing_weight_for_the_global_batch():
    """Released: one draw for each of 8 cores. Here the number of devices changes nothing."""
    plan = plan_of(CANONICAL)
    assert plan.mixing.mode == "batch"
    assert plan.recipe["batch_size"] == 512
