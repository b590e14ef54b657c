"""PGD's details as released: start, step, projection, labels (spec A1.1)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustvit.attacks.pgd import perturb
from robustvit.core.random import uniform

EPSILON = 4 / 255
SEEDS = torch.arange(5)


class Slope(nn.Module):
    """Logits (s, 0) with s the sum of pixels times ±1: the gradient's signs are known."""

    def __init__(self, signs: torch.Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.signs, self.scale = signs, scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = self.scale * (images * self.signs).flatten(1).sum(dim=1, keepdim=True)
        return torch.cat([score, torch.zeros_like(score)], dim=1)


SIGNS = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
SIGNS = SIGNS.reshape(3, 2, 2)


def attack(images: torch.Tensor, labels: torch.Tensor, **options: object) -> torch.Tensor:
    steps = options.setdefault("steps", 1)
    settings = {"epsilon": EPSILON, "step_size": 1.5 * EPSILON / max(steps, 1), "seeds": SEEDS}
    model = options.pop("model", Slope(SIGNS))
    return perturb(model, images, labels, **(settings | options))


def grey(value: float = 0.5) -> torch.Tensor:
    return torch.full((5, 3, 2, 2), value)


def start(images: torch.Tensor) -> torch.Tensor:
    """Uniform in ±ε, plus 1e-5, projected onto the ball and then onto [0, 1]."""
    noise = (2 * uniform(SEEDS, images.shape[1:]) - 1) * EPSILON + 1e-5
    return (images + noise.clamp(-EPSILON, EPSILON)).clamp(0, 1)


def test_start():
    zeros = torch.zeros(5, dtype=torch.int64)
    for value in (0.5, 0.0, 1.0):
        found = attack(grey(value), zeros, steps=0)
        torch.testing.assert_close(found, start(grey(value)), rtol=0, atol=1e-7)


@pytest.mark.parametrize("label", [0, 1])
def test_one_step_of_fgsm(label):
    """1.5 ε from the start, cut off at ε: at least half of ε away from the image."""
    found = attack(grey(), torch.full((5,), label))
    direction = SIGNS if label == 1 else -SIGNS
    expected = grey() + (start(grey()) + 1.5 * EPSILON * direction - grey()).clamp(
        -EPSILON, EPSILON
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)
    moved = (found - grey()) * direction
    assert moved.min() >= 0.5 * EPSILON - 1e-6
    assert moved.max() <= EPSILON + 1e-7
    assert (moved < 0.99 * EPSILON).any()  # so it is not the usual FGSM, which ends in corners


def test_two_steps_and_ten_steps_end_like_one_in_a_linear_model():
    labels = torch.zeros(5, dtype=torch.int64)
    one = attack(grey(), labels)
    for steps in (2, 10):
        torch.testing.assert_close(attack(grey(), labels, steps=steps), one, rtol=0, atol=1e-6)


def test_targeted_attacks_go_the_other_way():
    labels = torch.zeros(5, dtype=torch.int64)
    torch.testing.assert_close(
        attack(grey(), labels, targeted=True), attack(grey(), 1 - labels), rtol=0, atol=0
    )


def test_pixels_stay_within_their_range():
    found = attack(grey(0.0), torch.zeros(5, dtype=torch.int64))
    assert found.min() == 0
    assert (found[:, SIGNS > 0] == 0).all()  # the attack would make these darker than black


def test_the_sum_over_the_batch_makes_no_difference():
    """The released loss is summed: a factor, such as of a mean, leaves all signs as they are."""
    labels = torch.tensor([0, 1, 0, 1, 0])
    whole = attack(grey(), labels, steps=3)
    for index in range(5):
        chosen = slice(index, index + 1)
        alone = attack(grey()[chosen], labels[chosen], steps=3, seeds=SEEDS[chosen])
        assert torch.equal(alone, whole[chosen])


def test_soft_targets_are_attacked_at_their_largest_entry():
    mixed = torch.tensor([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.55, 0.45], [0.2, 0.8]])
    hard = torch.tensor([0, 1, 0, 0, 1])
    assert torch.equal(attack(grey(), mixed, steps=2), attack(grey(), hard, steps=2))


def test_zero_epsilon_of_the_first_epoch_is_the_clean_image():
    """With ε = 0 the step of 1.5 · 4/255 is projected back to the image."""
    found = attack(grey(), torch.zeros(5, dtype=torch.int64), epsilon=0.0)
    assert torch.equal(found, grey())
